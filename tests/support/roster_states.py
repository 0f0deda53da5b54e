"""Rosters as they are, and what plans make of them: the simplest store that keeps the rules.

What applying takes for granted is asserted: that a part rests on nothing that its own plan moves,
and that no two students have one address or one external id after any part.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

from rules.emails import key_of
from rules.imports.applying import Facts, Part, Step, kept_by_hand, make_step
from rules.imports.fingerprints import fingerprint, resting_students
from rules.imports.marks import left_in
from rules.imports.plans import (
    ClassPlan,
    ClassState,
    Marked,
    MarkedClass,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.values import Values, members_of, patched, values_of
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import NewStudent, PersonName, StudentRecord

_TIMES = (datetime(2026, 11, 29, tzinfo=UTC),) * 2
NOBODY = Values(PersonName("", "", ""))
Resting: TypeAlias = Mapping[UUID | None, AbstractSet[UUID]]
_NAMING = {RowKind.CREATED, RowKind.UPDATED, RowKind.UNCHANGED, RowKind.JOINED}


def state_of(classes: Iterable[ClassState], students: Iterable[StudentState]) -> RosterState:
    """Return a state; who is in which class is taken from the students."""
    members: dict[UUID, set[UUID]] = {}
    known = {student.id: student for student in students}
    for student in known.values():
        for class_id in student.class_ids:
            members.setdefault(class_id, set()).add(student.id)
    return RosterState(
        {one.id: replace(one, member_ids=frozenset(members.get(one.id, ()))) for one in classes},
        known,
    )


def apply(plan: Plan, state: RosterState, *, is_undo: bool = False) -> RosterState:
    """Return the state after a plan, of which parts with errors are left out."""
    return applied(plan, state, is_undo=is_undo)[0]


def applied(
    plan: Plan, state: RosterState, *, is_undo: bool = False, is_late: bool = False
) -> tuple[RosterState, list[PlannedRow]]:
    """Return the state after a plan, and the rows that were applied, to be taken back.

    Parts with errors are left out. What another part was to free is not free then: whose part
    needs it is left out, too. So is, of a plan that `is_late`, what has moved or was taken since.
    """
    rows_of: dict[UUID | None, list[PlannedRow]] = {}
    for row in plan.rows:
        rows_of.setdefault(row.class_id, []).append(row)
    resting = resting_students(plan.rows)
    kept = kept_by_hand(plan.rows, is_undo=is_undo)
    made = {row.student_id: row for row in plan.rows if row.kind is RowKind.CREATED}
    moved = {one.class_id for one in plan.classes if _has_moved(one, state, resting)}
    assert is_late or not moved
    is_whole, done = not is_late, list[PlannedRow]()
    for part in plan.classes:
        is_out = part.has_errors or part.class_id in moved
        assert is_out or not _has_moved(part, state, resting), "a part was moved by its own plan"
        rows = [_made(row, state, made) for row in rows_of[part.class_id]]
        if is_out or any(_is_gone(row, state) for row in rows):
            after = None
        else:
            others = kept | (state.students.keys() - resting.get(part.class_id, frozenset()))
            after = _apply_part(part, rows, state, others)
        if after is None or (not is_whole and faults(after)):
            is_whole = False
            continue
        _compare(_step_of(plan, part, state, kept), after)
        state, done = after, [*done, *rows]
        check(state)
    return state, done


def _has_moved(part: ClassPlan, state: RosterState, resting: Resting) -> bool:
    return fingerprint(state, part.class_id, resting.get(part.class_id, ())) != part.fingerprint


def _is_gone(row: PlannedRow, state: RosterState) -> bool:
    """Whether somebody has deleted the student of a row that does something with it."""
    is_idle = row.kind in (RowKind.CREATED, RowKind.UNCHANGED) or row.student_id is None
    return not (is_idle or row.student_id in state.students)


def _step_of(plan: Plan, part: ClassPlan, state: RosterState, kept: AbstractSet[UUID]) -> Step:
    """Return what the stores make of a part."""
    made = {row.student_id: row for row in plan.rows if row.kind is RowKind.CREATED}
    rows = [row for row in plan.rows if row.class_id == part.class_id]
    resting = resting_students(plan.rows).get(part.class_id, frozenset())
    others = {one: row for one, row in made.items() if one and row.class_id != part.class_id}
    records = {
        one.id: StudentRecord(
            one.id,
            "",
            one.name,
            one.email,
            tuple(sorted(one.class_ids)),
            1,
            *_TIMES,
            external_id=one.external_id,
        )
        for one in state.students.values()
    }
    facts = Facts(None, state, records)
    return make_step(Part(part, rows, resting, others, kept), facts)


def _compare(step: Step, after: RosterState) -> None:
    """Assert that the stores' step leads where the plan's rows do."""
    assert all(one.id not in after.students for one in step.deleted if not one.class_ids)
    made: list[NewStudent | StudentRecord] = [*step.created]
    for one in [*made, *(changed.after for changed in step.changed)]:
        student = after.students[one.id]
        assert (one.name, one.email, one.external_id) == (
            student.name,
            student.email,
            student.external_id,
        )
        assert set(one.class_ids) == student.class_ids
    for student_id, mark in step.marks.items():
        assert after.students[student_id].mark == mark
    if step.class_id is not None:
        cls = after.classes[step.class_id]
        assert (cls.marked, cls.mark) == (step.members, step.class_mark)


def check(state: RosterState) -> None:
    """Assert that there is nothing that a database would refuse."""
    assert faults(state) == []


def faults(state: RosterState) -> list[str]:
    """Return what a database would refuse."""
    students, classes = list(state.students.values()), list(state.classes.values())
    unique = {
        "addresses": [key_of(one.email) for one in students if one.email],
        "external ids": [one.external_id for one in students if one.external_id],
        "external ids of classes": [one.external_id for one in classes if one.external_id],
    }
    found = [what for what, some in unique.items() if len(some) != len(set(some))]
    if any(len(cls.member_ids) > MAX_STUDENTS for cls in classes):
        found.append("too many students")
    if any(len(one.class_ids) > MAX_CLASSES for one in students):
        found.append("too many classes")
    if not all(one.name.first_name or one.name.last_name for one in students):
        found.append("no name")
    return found


def _apply_part(
    part: ClassPlan, rows: Sequence[PlannedRow], state: RosterState, kept: AbstractSet[UUID]
) -> RosterState:
    classes, students = dict(state.classes), dict(state.students)
    class_id = part.class_id
    for row in rows:
        if row.entity is RowEntity.CLASS and row.class_id:
            _apply_class(row, row.class_id, classes)
        elif row.entity is RowEntity.STUDENT and row.student_id:
            student = _applied(row, students.pop(row.student_id, None), class_id)
            if student and row.kind in _NAMING:
                student = replace(student, mark=_mark(student, row, student.id in kept))
            if student:
                students[student.id] = student
    if class_id is not None:
        marked, cls = left_in(state.classes.get(class_id), rows), classes[class_id]
        mark = cls.mark or MarkedClass(cls.name, cls.external_id)
        classes[class_id] = replace(cls, marked=marked, mark=mark)
    gone = state.students.keys() - students.keys()
    return state_of((_without(one, gone) for one in classes.values()), students.values())


def _without(cls: ClassState, gone: AbstractSet[UUID]) -> ClassState:
    """Return a class as it is once students are deleted: what is left of them nowhere."""
    return cls if cls.marked is None else replace(cls, marked=cls.marked - gone)


def _applied(
    row: PlannedRow, student: StudentState | None, class_id: UUID | None
) -> StudentState | None:
    """Return a student after a row, None if there is none any more."""
    if row.kind is RowKind.CREATED:
        assert student is None
        assert row.student_id is not None
        return _created(row.student_id, row.after, class_id)
    if student is None:
        assert row.kind is RowKind.UNCHANGED
        return None
    if row.kind is RowKind.UPDATED:
        return _updated(row, student)
    if row.kind is RowKind.JOINED:
        assert class_id is not None
        assert class_id not in student.class_ids
        return replace(student, class_ids=student.class_ids | {class_id})
    if row.kind in (RowKind.LEFT, RowKind.DELETED):
        assert row.kind is RowKind.DELETED or class_id in student.class_ids
        student = replace(student, class_ids=student.class_ids - {class_id})
        is_over = row.kind is RowKind.DELETED and not student.class_ids and not student.decided
        return None if is_over else student
    return student


def _created(
    student_id: UUID, after: Mapping[str, Any] | None, class_id: UUID | None
) -> StudentState:
    values = patched(NOBODY, after or {})
    class_ids = frozenset({class_id} if class_id else ())
    return StudentState(student_id, values.name, values.email, values.external_id, 1, class_ids)


def _updated(row: PlannedRow, student: StudentState) -> StudentState:
    now, after = members_of(values_of(student)), row.after or {}
    assert row.before == {member: now[member] for member in after}
    assert row.before != row.after
    values = patched(values_of(student), after)
    return replace(student, name=values.name, email=values.email, external_id=values.external_id)


def _made(
    row: PlannedRow, state: RosterState, made: Mapping[UUID | None, PlannedRow]
) -> PlannedRow:
    """Return a row that creates whom the part of a class that was left out was to create."""
    if row.kind is not RowKind.JOINED or row.student_id in state.students:
        return row
    created = made.get(row.student_id)
    return replace(row, kind=RowKind.CREATED, after=created.after) if created else row


def _apply_class(row: PlannedRow, class_id: UUID, classes: dict[UUID, ClassState]) -> None:
    after: Mapping[str, Any] = row.after or {}
    if row.kind is RowKind.CREATED:
        assert class_id not in classes
        values = {"external_id": None, **after}
        classes[class_id] = ClassState(
            class_id, **values, version=1, member_ids=frozenset(), marked=frozenset()
        )
    elif row.kind is RowKind.UPDATED:
        classes[class_id] = replace(classes[class_id], **after)
    cls = classes.get(class_id)
    if cls and cls.mark:
        name = after.get("name", cls.mark.name)
        external_id = after.get("external_id", cls.mark.external_id)
        classes[class_id] = replace(cls, mark=MarkedClass(name, external_id))


def _mark(student: StudentState, row: PlannedRow, is_kept: bool) -> Marked:  # noqa: FBT001
    if student.mark is None or not is_kept:
        return Marked(student.name, student.email, student.external_id)
    values = patched(values_of(student.mark), row.after or {})
    return Marked(values.name, values.email, values.external_id)
