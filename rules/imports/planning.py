"""Plans what a file would change of an owner's classes and students, line by line.

Nothing is guessed and nothing vanishes by accident: what is not clear is an error of its line, and
nobody leaves a class part of which could not be read. What was changed by hand since the last
import stays, unless the options say otherwise.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

from rules.imports.drafts import Draft, Person, draft_of
from rules.imports.files import FileContents, Format, LineError, NamedBy, Wish
from rules.imports.memberships import Memberships, memberships_of
from rules.imports.namesakes import Namesakes
from rules.imports.parts import plan_of
from rules.imports.plans import (
    Notice,
    NoticeCode,
    Plan,
    PlannedRow,
    PlanOptions,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.settling import settle
from rules.imports.subjects import Line
from rules.imports.values import difference, known_members, values_of
from rules.imports.wanted import staying

_MATCHED: Final = {
    NoticeCode.MATCHED_BY_EMAIL: "It was found by its address.",
    NoticeCode.MATCHED_BY_NAME: "It was found by its name in the class.",
}
_TAKEN_OUT: Final = "It was taken out of the class by hand since the last import, and stays out."
_PUT_IN: Final = "It was put into the class by hand since the last import, and stays."
_IN_TOO: Final = "It was put into the class by hand, and the file has it there, too."
_OUT_TOO: Final = "It was taken out of the class by hand, and the file has it there no more."
_SPLIT: Final = "The file has the full name only: where the first name ends is a guess."


def make_plan(file: FileContents, state: RosterState, options: PlanOptions) -> Plan:
    """Return what a file would change. Takes seconds for a large one.

    Raises ValidationFailedError for what is wrong with the whole, ClassNotFoundError.
    """
    draft = draft_of(file, state, options)
    settle(draft)
    making = _Making(draft, memberships_of(draft))
    return plan_of(making.rows(), draft.order, state, draft.made)


class _Making:
    """Makes the rows of a plan."""

    def __init__(self, draft: Draft, memberships: Memberships) -> None:
        self._draft, self._memberships = draft, memberships
        self._namesakes = Namesakes(draft)
        self._left: set[tuple[UUID, UUID]] = set()
        self._said = {person.id for person in draft.people.values()}
        self._taken_out = defaultdict[UUID, set[UUID]](set)
        for cls in draft.state.classes.values():
            for student_id in (cls.marked or frozenset()) - cls.member_ids:
                self._taken_out[student_id].add(cls.id)

    def rows(self) -> list[PlannedRow]:
        """Return the rows in the order of the lines; who is missing comes last."""
        draft = self._draft
        rows = [place.row for place in draft.places.values() if place.row is not None]
        rows += [_of_error(error, draft.options.class_id) for error in draft.file.errors]
        for line in draft.lines:
            rows.extend(self._of_line(line))
        if draft.file.format is Format.CSV:
            rows.sort(key=lambda row: (row.line or 0, row.entity is not RowEntity.CLASS))
        for class_id, missing in self._memberships.missing.items():
            rows.extend(self._leave(one, class_id, None) for one in sorted(missing))
        return rows

    def _of_line(self, line: Line) -> Iterable[PlannedRow]:
        if line.errors:
            return [_row(RowKind.ERROR, line)]
        if line.row.wish is Wish.DELETE:
            return self._deleted(line)
        if line.row.wish is Wish.LEAVE:
            return [self._leaving(line)]
        person = self._draft.people.get(line.subject) if line.subject else None
        if person is None or line.is_void:
            return [self._nothing(line)]
        first = self._draft.keeps[person.subject, line.class_id]
        if first is not line:
            notice = Notice(
                NoticeCode.NEAR_DUPLICATE,
                f"It says what {first.place} says.",
                other_line=first.row.line,
            )
            return [_row(RowKind.UNCHANGED, line, person.id, notices=[notice])]
        return self._kept(line, person)

    # --- who goes ------------------------------------------------------------------------------

    def _deleted(self, line: Line) -> Sequence[PlannedRow]:
        """Let a student leave all of its classes, also those that it was taken out of by hand."""
        student = line.subject.student if line.subject else None
        rows = [
            self._leave(student.id, class_id, line)
            for class_id in sorted(
                student.class_ids | self._taken_out[student.id] if student else ()
            )
            if student and class_id in self._draft.state.classes
        ]
        return rows or [self._nothing(line)]

    def _leaving(self, line: Line) -> PlannedRow:
        subject, class_id = line.subject, line.class_id
        student = subject.student if subject else None
        cls = self._draft.state.classes.get(class_id) if class_id else None
        if student is None or cls is None or (subject, class_id) in self._draft.keeps:
            return self._nothing(line)
        if student.id not in cls.member_ids and not cls.is_by_hand(student.id):
            return self._nothing(line)
        return self._leave(student.id, cls.id, line)

    def _nothing(self, line: Line) -> PlannedRow:
        """Return the row of a line that changes nothing, and says no values of its student."""
        student = line.subject.student if line.subject else None
        return _row(RowKind.UNCHANGED, line, notices=self._staying_values(student))

    def _staying_values(self, student: StudentState | None) -> list[Notice]:
        """Return what was changed by hand of whom no line says values: it stays by hand."""
        return [] if student is None or student.id in self._said else staying(student)

    def _leave(self, student_id: UUID, class_id: UUID, line: Line | None) -> PlannedRow:
        """Return the row of who leaves a class, or stays or is out since somebody saw to that."""
        cls = self._draft.state.classes[class_id]
        student = self._draft.state.students.get(student_id)
        before = known_members(values_of(student)) if student else None
        kind, notices = RowKind.LEFT, list[Notice]()
        if student_id not in cls.member_ids:
            told = Notice(NoticeCode.SAID_TOO, _OUT_TOO)
            kind, notices = RowKind.UNCHANGED, [told, *self._staying_values(student)]
        elif self._draft.is_put_in(student_id, cls):
            kind, notices = RowKind.UNCHANGED, [Notice(NoticeCode.KEPT_BY_HAND, _PUT_IN)]
        elif (student_id, class_id) in self._left:
            kind, notices = RowKind.UNCHANGED, self._staying_values(student)
        self._left.add((student_id, class_id))
        return PlannedRow(
            kind,
            line=line.row.line if line else None,
            file=line.row.file if line else "",
            class_id=class_id,
            student_id=student_id,
            before=before if kind is RowKind.LEFT else None,
            notices=tuple(notices),
        )

    # --- who is to be in a class ---------------------------------------------------------------

    def _kept(self, line: Line, person: Person) -> Iterator[PlannedRow]:
        """Yield the rows of a line that has its person in its class."""
        is_home = person.home is line
        is_changed = is_home and person.is_changed
        notices = list(person.notices if is_home else ())
        member = list(self._by_hand(line, person))
        if is_home and person.before is None:
            notices += [*_guessed(person), *self._namesakes.of(person)]
            after = known_members(person.after)
            yield _row(RowKind.CREATED, line, person.id, after=after, notices=notices)
            return
        if is_changed and person.before is not None:
            before, after = difference(person.before, person.after)
            told = [*_found(person), *(_guessed(person) if "full_name" in after else ())]
            if person.where == line.class_id:
                told, member = [*member, *told], []
            yield PlannedRow(
                RowKind.UPDATED,
                line=line.row.line,
                file=line.row.file,
                class_id=person.where,
                student_id=person.id,
                before=before,
                after=after,
                notices=(*notices, *told),
            )
            notices = []
        notices += member
        if line in self._memberships.joining:
            yield _row(RowKind.JOINED, line, person.id, notices=notices)
        elif not is_changed or person.where != line.class_id:
            yield _row(RowKind.UNCHANGED, line, person.id, notices=notices)

    def _by_hand(self, line: Line, person: Person) -> Iterator[Notice]:
        """Yield what somebody did about a person in the class of its line since the last import."""
        cls = self._draft.state.classes.get(line.class_id) if line.class_id else None
        if cls is None or not cls.is_by_hand(person.id):
            return
        if person.id in cls.member_ids:
            yield Notice(NoticeCode.SAID_TOO, _IN_TOO)
        elif self._draft.is_taken_out(person.id, cls):
            yield Notice(NoticeCode.KEPT_BY_HAND, _TAKEN_OUT)


def _guessed(person: Person) -> Iterator[Notice]:
    if person.subject.named_by is NamedBy.FULL:
        yield Notice(NoticeCode.NAME_SPLIT, _SPLIT)


def _found(person: Person) -> Iterator[Notice]:
    matched = person.subject.matched
    if matched is not None:
        yield Notice(matched, _MATCHED[matched])


def _of_error(error: LineError, class_id: UUID | None) -> PlannedRow:
    """Return the row of a line that could not be read."""
    return PlannedRow(
        RowKind.ERROR, line=error.line, file=error.file, class_id=class_id, errors=error.errors
    )


def _row(
    kind: RowKind,
    line: Line,
    student_id: UUID | None = None,
    *,
    after: dict[str, object] | None = None,
    notices: Iterable[Notice] = (),
) -> PlannedRow:
    student = line.subject.student if line.subject else None
    return PlannedRow(
        kind,
        line=line.row.line,
        file=line.row.file,
        class_id=line.class_id,
        student_id=student_id or (student.id if student else None),
        after=after,
        errors=tuple(line.errors),
        notices=(*line.notices, *notices),
    )
