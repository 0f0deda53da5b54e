"""Imports, changes by hand and undos, one after another, in any order."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rules.emails import key_of
from rules.imports import drafts, places, undoing
from rules.imports.files import FileClass, FileContents, FilePerson, FileRow, Format, NamedBy, Wish
from rules.imports.planning import make_plan
from rules.imports.plans import (
    Mode,
    Plan,
    PlannedRow,
    PlanOptions,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.undoing import make_undo
from rules.imports.values import Values, members_of, values_of
from rules.models import PersonName
from tests.support.profiles import by_profile
from tests.support.roster_states import applied, apply, check, state_of

NAMES = [PersonName(f, m, f"{f} {m}") for f in ("Anna", "Bo") for m in ("Ek", "Berg")]
EMAILS = [f"{letter}@x.se" for letter in "abcd"]
IDS = ["1", "2", "3", "4"]
CLASS_NAMES = ["9A", "9B", "9C"]
CLASS_IDS = ["7", "8", "9"]
#: What lines call their classes.
KEYS = ["one", "two", "three"]
#: The class that a delta deletes, most often none.
GONE = [None, None, None, *KEYS]
_GOING = {Wish.LEAVE, Wish.DELETE}
_OF_NO_CLASS = {Wish.DELETE, Wish.UPDATE}
_OF_VALUES = {Wish.KEEP, Wish.UPDATE}
#: The columns of errors about what is one student's where the name is another's.
_MARKS = (["external_id"], ["email"])

people = st.builds(
    FilePerson,
    external_id=st.sampled_from([None, *IDS]),
    name=st.sampled_from(NAMES) | st.just(NAMES[0]),
    email=st.sampled_from([None, *EMAILS]),
    named_by=st.sampled_from(NamedBy),
)
wishes = st.sampled_from([Wish.KEEP] * 8 + [Wish.LEAVE, Wish.DELETE, Wish.UPDATE])
rows = st.lists(st.tuples(people, st.sampled_from(KEYS), wishes), max_size=6)
#: Without ids by names, with some ids, and several of one name.
classes = (
    st.just([(name, None) for name in CLASS_NAMES])
    | st.just(list(zip(CLASS_NAMES, CLASS_IDS, strict=True)))
    | st.permutations(CLASS_IDS).map(lambda ids: [*zip(CLASS_NAMES, [*ids[:2], None], strict=True)])
    | st.lists(st.sampled_from(CLASS_NAMES), min_size=3, max_size=3).map(
        lambda names: [*zip(names, CLASS_IDS, strict=True)]
    )
)
#: Classes, each with a student.
Pairs: TypeAlias = set[tuple[UUID, UUID]]

options = st.builds(PlanOptions, mode=st.sampled_from(Mode), overwrite=st.booleans())
picks = st.integers(0, 1000)
emails = st.sampled_from([None, *EMAILS])


def file_of(
    some: list[tuple[FilePerson, str, Wish]],
    said: list[tuple[str, str | None]],
    *,
    delta: bool,
    gone: str | None = None,
) -> FileContents:
    """Return a file; only a delta wishes that somebody leaves, or that a class goes."""
    lines = tuple(
        FileRow(line, person, name if wish not in _OF_NO_CLASS else None, wish)
        for line, (person, name, wish) in enumerate(some, 2)
        if delta or wish is Wish.KEEP
    )
    named = {line.class_key for line in lines}
    classes = tuple(
        FileClass(key, 1, name, external_id, "SV1", is_deleted=delta and key == gone)
        for key, (name, external_id) in zip(KEYS, said, strict=True)
        if key in named
    )
    form = Format.ONEROSTER if delta else Format.CSV
    return FileContents(form, classes, lines, is_delta=delta)


class Imports(RuleBasedStateMachine):
    """A teacher's classes, imported into, changed by hand, and taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RosterState()
        self.past: list[tuple[list[PlannedRow], RosterState, RosterState]] = []
        self._ids = (UUID(int=number) for number in itertools.count(1))
        # By its ids is chosen who is changed: random ones would make each run another one.
        self._patched = pytest.MonkeyPatch()
        for module in (drafts, places, undoing):
            self._patched.setattr(module, "new_id", self._ids.__next__)

    def teardown(self) -> None:
        self._patched.undo()

    # --- what is done --------------------------------------------------------------------------

    @rule(
        some=rows,
        said=classes,
        options=options,
        delta=st.booleans(),
        gone=st.sampled_from(GONE),
        late=st.none() | st.none() | st.tuples(picks, st.sampled_from(NAMES), emails),
    )
    def import_file(
        self,
        some: list[tuple[FilePerson, str, Wish]],
        said: list[tuple[str, str | None]],
        options: PlanOptions,
        delta: bool,  # noqa: FBT001
        gone: str | None,
        late: tuple[int, PersonName, str | None] | None,
    ) -> None:
        """Import a file; `late` is whom somebody changes between the plan and the first part."""
        file = file_of(some, said, delta=delta, gone=gone)
        before = self.state
        plan = make_plan(file, before, options)
        if late is not None and before.students:
            self._import_late(file, plan, late)
            return
        self.state, done = applied(plan, before)
        self.past.append((done, before, self.state))
        assert [line.line for line in file.rows if line.line not in _lines(plan)] == []
        _check_summary(plan)
        self._check_classes(file, before, options, is_whole=not plan.summary.errors)
        _check_ids(file, before, plan)
        self._check_by_hand(before, options, plan)
        # What is to be overwritten may be left out with its part, and be overwritten later.
        if not (options.overwrite and plan.summary.errors):
            self._check_marks(before, _said(file, plan))
        self._check_members(file, before, options, plan)
        if not plan.summary.errors:
            self._check_by_hand_in(before, *_said_in(file, before, options, plan))
        if not plan.summary.errors:
            self._check_again(file, options)

    def _import_late(
        self, file: FileContents, plan: Plan, late: tuple[int, PersonName, str | None]
    ) -> None:
        old = self._student(late[0])
        self.change_by_hand(*late)
        before = self.state
        hers = before.students[old.id]
        self.state, done = applied(plan, before, is_late=True)
        self.past.append((done, before, self.state))
        if values_of(hers) != values_of(old):
            assert values_of(self.state.students[old.id]) == values_of(hers)
            said = _said(file, plan)
            self._check_marks(before, {one: some for one, some in said.items() if one != old.id})

    @precondition(lambda self: self.state.students)
    @rule(pick=picks, name=st.sampled_from(NAMES), email=emails)
    def change_by_hand(self, pick: int, name: PersonName, email: str | None) -> None:
        student = self._student(pick)
        others = [s for s in self.state.students.values() if s.id != student.id]
        if email is None or key_of(email) not in {key_of(s.email) for s in others if s.email}:
            self._put(replace(student, name=name, email=email, version=student.version + 1))

    @precondition(lambda self: self.state.students)
    @rule(pick=picks, external_id=st.sampled_from([None, *IDS]))
    def change_id_by_hand(self, pick: int, external_id: str | None) -> None:
        student = self._student(pick)
        others = {s.external_id for s in self.state.students.values() if s.id != student.id}
        if external_id is None or external_id not in others:
            self._put(replace(student, external_id=external_id, version=student.version + 1))

    @precondition(lambda self: self.state.students and self.state.classes)
    @rule(pick=picks, other=picks)
    def move_by_hand(self, pick: int, other: int) -> None:
        student = self._student(pick)
        class_id = sorted(self.state.classes)[other % len(self.state.classes)]
        self._put(replace(student, class_ids=student.class_ids ^ {class_id}))

    @precondition(lambda self: self.state.classes)
    @rule(
        pick=picks,
        name=st.sampled_from(CLASS_NAMES),
        external_id=st.sampled_from([None, *CLASS_IDS]),
    )
    def change_class_by_hand(self, pick: int, name: str, external_id: str | None) -> None:
        cls = self.state.classes[sorted(self.state.classes)[pick % len(self.state.classes)]]
        others = {one.external_id for one in self.state.classes.values() if one is not cls}
        if external_id is None or external_id not in others:
            changed = replace(cls, name=name, external_id=external_id)
            classes = {**self.state.classes, cls.id: changed}
            self.state = state_of(classes.values(), self.state.students.values())

    @rule(name=st.sampled_from(NAMES))
    def create_by_hand(self, name: PersonName) -> None:
        classes = frozenset(sorted(self.state.classes)[:1])
        self._put(StudentState(next(self._ids), name, None, None, 1, classes))

    @precondition(lambda self: self.state.students)
    @rule(pick=picks)
    def decide_an_essay(self, pick: int) -> None:
        self._put(replace(self._student(pick), decided=True))

    @precondition(lambda self: self.state.students)
    @rule(pick=picks)
    def delete_by_hand(self, pick: int) -> None:
        gone = self._student(pick)
        students = [s for s in self.state.students.values() if s.id != gone.id]
        self.state = state_of(self.state.classes.values(), students)

    @precondition(lambda self: self.past)
    @rule(pick=picks)
    def undo(self, pick: int) -> None:
        """Take an import back, also one that others have followed."""
        done, before, after = self.past.pop(pick % len(self.past))
        undo = make_undo(done, self.state)
        assert not undo.summary.errors
        is_untouched = self.state == after
        now = self.state
        self.state, undone = applied(undo, now, is_undo=True)
        _check_summary(undo)
        self._check_marks(now, {})
        self._check_by_hand_in(now, set(), set())
        if is_untouched:
            self._check_back(before)
        made = {row.student_id for row in done if row.kind is RowKind.CREATED}
        for student in now.students.values():
            if student.id not in self.state.students:
                assert student.id in made
                assert not student.decided
        again = apply(make_undo(undone, self.state), self.state, is_undo=True)
        if is_untouched:
            assert _contents(again) == _contents(after)

    # --- what holds ----------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_twice(self) -> None:
        check(self.state)

    def _check_back(self, before: RosterState) -> None:
        """Check that an undo at once brings back all; what was made and is wanted stays."""
        for student in self.state.students.values():
            if student.id in before.students:
                old = before.students[student.id]
                assert values_of(student) == values_of(old)
                assert student.class_ids == old.class_ids
            else:
                assert student.decided
        assert before.students.keys() <= self.state.students.keys()
        for class_id, cls in before.classes.items():
            now = self.state.classes[class_id]
            assert (now.name, now.external_id) == (cls.name, cls.external_id)

    def _check_classes(
        self, file: FileContents, before: RosterState, options: PlanOptions, *, is_whole: bool
    ) -> None:
        """Check that no class is two of the file, and stays as somebody made it by hand.

        Once the file, applied as a whole, has its name, too, that is no longer by hand.
        """
        found = places.places_of(file, before, options).values()
        times = Counter(
            place.id for place in found if place.id in before.classes and not place.has_errors
        )
        assert all(number == 1 for number in times.values())
        said = [
            (one, place)
            for one, place in zip(file.classes, found, strict=True)
            if not place.is_deleted
        ]
        names = {place.id: one.name for one, place in said}
        for cls in before.classes.values():
            now = self.state.classes[cls.id]
            if is_whole and now.mark and names.get(cls.id) == now.name:
                assert now.mark.name == now.name
            for member in ("name", "external_id") if cls.mark and not options.overwrite else ():
                if getattr(cls, member) != getattr(cls.mark, member):
                    assert getattr(now, member) == getattr(cls, member)

    def _check_by_hand(self, before: RosterState, options: PlanOptions, plan: Plan) -> None:
        """Check that what differs from what the last import left stays: it was by hand."""
        if options.overwrite:
            return
        for old in before.students.values():
            new = self.state.students[old.id]
            for member in ("name", "email", "external_id"):
                if old.mark and getattr(old, member) != getattr(old.mark, member):
                    assert getattr(new, member) == getattr(old, member)
            for class_id in (new.class_ids - old.class_ids) & before.classes.keys():
                assert old.id not in (before.classes[class_id].marked or ())
            for class_id in old.class_ids - new.class_ids:
                marked = before.classes[class_id].marked
                assert marked is None or old.id in marked
        assert all(row.kind is not RowKind.DELETED for row in plan.rows)

    def _check_marks(self, before: RosterState, said: Mapping[UUID, list[FilePerson]]) -> None:
        """Check that what was changed by hand is known for that later, unless a line says it, too.

        Else the next import would take it for what this one has left, and change it.
        """
        for old in before.students.values():
            new = self.state.students.get(old.id)
            for member in ("name", "email", "external_id") if new and old.mark else ():
                value, marked = getattr(old, member), getattr(old.mark, member)
                is_said = any(getattr(one, member) == value for one in said.get(old.id, ()))
                if value != marked and getattr(new, member) == value and not is_said:
                    assert new is not None
                    assert getattr(new.mark, member) == marked

    def _check_by_hand_in(self, before: RosterState, ins: Pairs, outs: Pairs) -> None:
        """Check that who was put in or taken out by hand is known for that, unless a file agrees.

        `ins` and `outs` are the classes and students of whom it says that they are in, and not.
        """
        for cls in before.classes.values():
            now = self.state.classes[cls.id]
            for one in (cls.member_ids | (cls.marked or set())) & self.state.students.keys():
                is_in = one in cls.member_ids
                is_left = (one in now.member_ids) == is_in and (cls.id, one) not in (
                    ins if is_in else outs
                )
                if cls.is_by_hand(one):
                    assert now.is_by_hand(one) == is_left

    def _check_members(
        self, file: FileContents, before: RosterState, options: PlanOptions, plan: Plan
    ) -> None:
        """Check that who leaves is missing in a whole file of its class, or is said to leave."""
        may_leave = options.mode is Mode.SYNC and not file.is_delta
        has_gone = any(one.is_deleted for one in file.classes)
        for row in plan.rows:
            if row.kind is RowKind.LEFT:
                assert row.line is not None or may_leave or has_gone
        if not may_leave or plan.summary.errors:
            return
        # Values may be changed in the part of another class than the line's.
        keys = {line.line: line.class_key for line in file.rows}
        found = places.places_of(file, before, options)
        named: dict[UUID | None, set[UUID | None]] = {}
        for row in plan.rows:
            if row.entity is RowEntity.STUDENT and (key := keys.get(row.line or 0)):
                named.setdefault(found[key].id, set()).add(row.student_id)
        for class_id, cls in before.classes.items():
            if class_id in named:
                put_in = cls.member_ids - (cls.marked if cls.marked is not None else cls.member_ids)
                kept = set() if options.overwrite else put_in
                assert self.state.classes[class_id].member_ids <= named[class_id] | kept

    def _check_again(self, file: FileContents, options: PlanOptions) -> None:
        """Check that the same file again changes nothing.

        It may have made somebody a member's namesake: who is meant by the name alone is not clear.
        Nor is it once another line has had the only one of the name leave. Where two lines have one
        name, and whom one of them means by its id or address was renamed by hand, these look mixed
        up.
        """
        gone = {row.person.name for row in file.rows if row.wish in _GOING}
        if any(row.wish not in _GOING and row.person.name in gone for row in file.rows):
            return
        names = {row.line: row.person.name for row in file.rows}
        shared = {name for name, times in Counter(names.values()).items() if times > 1}
        for row in make_plan(file, self.state, options).rows:
            columns = [error.column for error in row.errors]
            is_mixed_up = columns in _MARKS and names[row.line or 0] in shared
            assert row.kind is RowKind.UNCHANGED or columns == ["name"] or is_mixed_up

    # --- its parts -----------------------------------------------------------------------------

    def _student(self, pick: int) -> StudentState:
        students = sorted(self.state.students.values(), key=lambda one: one.id)
        return students[pick % len(students)]

    def _put(self, student: StudentState) -> None:
        students = {**self.state.students, student.id: student}
        self.state = state_of(self.state.classes.values(), students.values())


def _lines(plan: Plan) -> set[int | None]:
    return {row.line for row in plan.rows if row.entity is RowEntity.STUDENT}


def _check_ids(file: FileContents, before: RosterState, plan: Plan) -> None:
    """Check that a line with the external id that a student has is about that student."""
    ids = {one.external_id: one.id for one in before.students.values()}
    lines = {line.line: line.person.external_id for line in file.rows}
    for row in plan.rows:
        known = ids.get(lines.get(row.line or 0))
        is_told = row.entity is RowEntity.STUDENT and row.kind is not RowKind.ERROR
        if is_told and known and lines.get(row.line or 0):
            assert row.student_id == known


def _said(file: FileContents, plan: Plan) -> Mapping[UUID, list[FilePerson]]:
    """Return what the lines say of each student of whom one of them says values."""
    lines = {row.line: row for row in file.rows}
    said: dict[UUID, list[FileRow]] = {}
    for row in plan.rows:
        if row.student_id and row.line in lines:
            said.setdefault(row.student_id, []).append(lines[row.line])
    return {
        student_id: [row.person for row in some]
        for student_id, some in said.items()
        if any(row.wish in _OF_VALUES for row in some)
    }


def _said_in(
    file: FileContents, before: RosterState, options: PlanOptions, plan: Plan
) -> tuple[Pairs, Pairs]:
    """Return the classes and students of whom a file says that they are in, and not."""
    found = places.places_of(file, before, options)
    who = {row.line: row.student_id for row in plan.rows if row.student_id}
    gone = {who.get(row.line) for row in file.rows if row.wish is Wish.DELETE}
    said: dict[Wish, Pairs] = {wish: set() for wish in Wish}
    for row in file.rows:
        place = found[row.class_key] if row.class_key else None
        if place and place.id and not place.is_deleted and (one := who.get(row.line)):
            said[row.wish if one not in gone else Wish.LEAVE].add((place.id, one))
    ins, outs = said[Wish.KEEP], said[Wish.LEAVE] - said[Wish.KEEP]
    is_whole = options.mode is Mode.SYNC and not file.is_delta
    whole = {place.id for place in found.values() if is_whole or place.is_deleted}
    for cls in before.classes.values():
        for one in cls.member_ids | (cls.marked or set()):
            if one in gone or (cls.id in whole and (cls.id, one) not in ins):
                outs.add((cls.id, one))
    return ins, outs


def _check_summary(plan: Plan) -> None:
    kinds = [row.kind.value for row in plan.rows if row.entity is RowEntity.STUDENT]
    counted: dict[str, int] = {
        kind: getattr(plan.summary, kind)
        for kind in ("created", "updated", "unchanged", "joined", "left", "deleted")
    }
    assert counted == {kind: kinds.count(kind) for kind in counted}
    assert {part.class_id for part in plan.classes} == {row.class_id for row in plan.rows}


def _contents(state: RosterState) -> list[Any]:
    """Return who is in which class, whatever the ids."""
    key: Callable[[Any], str] = repr
    return sorted(
        (
            (members_of(Values(s.name, s.email, s.external_id)), sorted(s.class_ids))
            for s in state.students.values()
        ),
        key=key,
    )


Imports.TestCase.settings = settings(
    max_examples=by_profile(short=80, long=1500), stateful_step_count=by_profile(short=12, long=25)
)
TestImports = pytest.mark.long(Imports.TestCase)
