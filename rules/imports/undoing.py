"""Plans how an import that was applied is taken back.

What somebody changed since stays, and is told. Students are deleted only if the import made them,
no essay is decided for them, and no other class has them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from rules.ids import new_id
from rules.imports.parts import plan_of
from rules.imports.plans import (
    Notice,
    NoticeCode,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.settling import moves_of
from rules.imports.transfers import Holders, groups, holders_of, linked, refused_moves
from rules.imports.values import (
    NAME,
    Values,
    difference,
    known_members,
    members_of,
    patched,
    values_of,
)
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import PersonName

_EFFECTS: Final = frozenset(
    {RowKind.CREATED, RowKind.UPDATED, RowKind.JOINED, RowKind.LEFT, RowKind.DELETED}
)
#: What is restored as a whole or not at all.
_PIECES: Final[Mapping[str, Sequence[str]]] = {
    "name": NAME,
    "address": ("email",),
    "external id": ("external_id",),
}
_GONE: Final = "The student is not there any more."
_NO_CLASS: Final = "The class is not there any more."
_MOVED_OUT: Final = "It is in the class no more."
_MOVED_IN: Final = "It is in the class already."
_FULL: Final = f"The class has {MAX_STUDENTS:,} students, or the student {MAX_CLASSES:,} classes."
_DECIDED: Final = "Essays are decided for it: it leaves the class, and is not deleted."
_ELSEWHERE: Final = "It is in another class by now: it leaves this one, and is not deleted."
_CLASS_STAYS: Final = "The import made the class: it stays, and can be deleted."


def make_undo(rows: Sequence[PlannedRow], state: RosterState) -> Plan:
    """Return what takes back the rows of an import that were applied."""
    undoing = _Undoing([row for row in rows if row.kind in _EFFECTS], state)
    return plan_of(list(undoing.rows()), undoing.order, state)


@dataclass(slots=True, eq=False)
class _Restored:
    """A student whose values change: as it is, as it is to be, and what could not be taken back."""

    id: UUID
    before: Values | None
    after: Values
    where: UUID | None
    notices: list[Notice]


class _Undoing:
    """The undo of an import while it is planned."""

    def __init__(self, rows: Sequence[PlannedRow], state: RosterState) -> None:
        self._rows, self._state = rows, state
        there = (row.class_id for row in rows if row.class_id in state.classes)
        self.order: list[UUID | None] = list(dict.fromkeys(there))
        self._rank = {class_id: n for n, class_id in enumerate((*self.order, None))}
        self._put: defaultdict[UUID, set[UUID]] = defaultdict(set)
        self._of: defaultdict[UUID, list[PlannedRow]] = defaultdict(list)
        for row in rows:
            if row.student_id is not None and row.entity is RowEntity.STUDENT:
                self._of[row.student_id].append(row)
                if row.kind in (RowKind.CREATED, RowKind.JOINED) and row.class_id:
                    self._put[row.student_id].add(row.class_id)
        self._ends = self._find_ends()
        self._again = self._find_again()
        self._restored = self._restore()
        self._places = _Places(state)

    def rows(self) -> Iterator[PlannedRow]:
        """Yield the rows of the undo, in the order of those that they take back."""
        for row in self._rows:
            if row.entity is RowEntity.CLASS:
                yield self._of_class(row)
            elif row.student_id is not None:
                yield self._of_student(row, row.student_id)

    # --- classes -------------------------------------------------------------------------------

    def _of_class(self, row: PlannedRow) -> PlannedRow:
        cls = self._state.classes.get(row.class_id) if row.class_id else None
        if cls is None:
            return self._kept(row, _NO_CLASS)
        if row.kind is RowKind.CREATED or row.before is None or row.after is None:
            return self._kept(row, _CLASS_STAYS)
        taken = {one.external_id for one in self._state.classes.values() if one is not cls}
        is_free = row.before.get("external_id") is None or row.before["external_id"] not in taken
        back = [
            member
            for member in row.after
            if getattr(cls, member) == row.after[member] and (member != "external_id" or is_free)
        ]
        notices = () if len(back) == len(row.after) else (_not_taken("It was changed since."),)
        return PlannedRow(
            RowKind.UPDATED if back else RowKind.UNCHANGED,
            RowEntity.CLASS,
            row.line,
            row.file,
            cls.id,
            before={member: row.after[member] for member in back} or None,
            after={member: row.before[member] for member in back} or None,
            notices=notices,
        )

    # --- values --------------------------------------------------------------------------------

    def _find_ends(self) -> dict[UUID, UUID | None]:
        """Return the students to delete, each with the class that it leaves last."""
        ends: dict[UUID, UUID | None] = {}
        for student_id, rows in self._of.items():
            student = self._state.students.get(student_id)
            made = next((row for row in rows if row.kind is RowKind.CREATED), None)
            if student and made and self._why_kept(student) is None:
                last = max(student.class_ids, key=lambda one: self._rank[one], default=None)
                ends[student_id] = last or self._there(made.class_id)
        return ends

    def _why_kept(self, student: StudentState) -> str | None:
        """Return why a student whom the import made is not deleted."""
        if student.decided:
            return _DECIDED
        return None if student.class_ids <= self._put[student.id] else _ELSEWHERE

    def _find_again(self) -> dict[UUID, UUID]:
        """Return the ids by which students whom an undo deleted are made again."""
        return {
            student_id: new_id()
            for student_id, rows in self._of.items()
            if student_id not in self._state.students
            and any(row.kind is RowKind.DELETED and row.before for row in rows)
        }

    def _restore(self) -> dict[UUID, _Restored]:
        """Return the students whose values change, or who are made again."""
        restored: dict[UUID, _Restored] = {}
        for row in self._rows:
            student = self._state.students.get(row.student_id) if row.student_id else None
            if row.kind is RowKind.UPDATED and student and row.entity is RowEntity.STUDENT:
                restored[student.id] = self._earlier(student, row)
            elif row.kind is RowKind.DELETED and row.student_id in self._again:
                again, empty = self._again[row.student_id], Values(PersonName("", "", ""))
                where = self._first_class(row.student_id)
                after = patched(empty, row.before or {})
                restored[row.student_id] = _Restored(again, None, after, where, [])
        holders = holders_of(self._state)
        while self._give_up(restored, holders):
            pass
        self._put_together(restored, holders)
        return restored

    def _first_class(self, student_id: UUID) -> UUID | None:
        classes = [self._there(row.class_id) for row in self._of[student_id]]
        return min(classes, key=lambda one: self._rank[one])

    def _earlier(self, student: StudentState, row: PlannedRow) -> _Restored:
        """Return the values as they were before, where they still are what the import left."""
        now, old, new = members_of(values_of(student)), row.before or {}, row.after or {}
        back: dict[str, Any] = {}
        notices: list[Notice] = []
        for text, members in _PIECES.items():
            some = [member for member in members if member in new]
            if all(now[member] == new[member] for member in some):
                back |= {member: old.get(member) for member in some}
            else:
                notices.append(_not_taken(f"Its {text} was changed since."))
        before = values_of(student)
        where = self._there(row.class_id)
        return _Restored(student.id, before, patched(before, back), where, notices)

    def _give_up(self, restored: Mapping[UUID, _Restored], holders: Holders) -> bool:
        """Leave the addresses and ids that others have by now; return whether there were any."""
        by_id = {one.id: one for one in restored.values()}
        given_up = False
        for column, moves, held in moves_of(self._changes(restored), holders):
            for student_id in refused_moves(moves, held):
                one = by_id[student_id]
                now = members_of(one.before) if one.before else {column: None}
                one.after = patched(one.after, {column: now[column]})
                text = "address" if column == "email" else "external id"
                one.notices.append(_not_taken(f"Another student has its {text} by now."))
                given_up = True
        return given_up

    def _changes(
        self, restored: Mapping[UUID, _Restored]
    ) -> dict[UUID, tuple[Values | None, Values]]:
        """Return what is to become of values; who is deleted gives up its address and id."""
        nobody = Values(PersonName("", "", ""))
        ends = {one: (values_of(self._state.students[one]), nobody) for one in self._ends}
        return {**ends, **{one.id: (one.before, one.after) for one in restored.values()}}

    def _put_together(self, restored: Mapping[UUID, _Restored], holders: Holders) -> None:
        """Have those who exchange addresses or ids changed in one part: once all are free."""
        by_id = {one.id: one for one in restored.values()}
        moves = moves_of(self._changes(restored), holders)
        for group in groups(pair for _, some, held in moves for pair in linked(some, held)):
            ends = [self._ends[one] for one in group if one in self._ends]
            updated = [by_id[one] for one in group if one in by_id]
            places = [one.where for one in updated]
            where = (
                max(ends, key=lambda one: self._rank[one])
                if ends
                else min(places, key=lambda one: self._rank[one])
            )
            for one in updated:
                if one.before is not None:
                    one.where = where

    # --- students ------------------------------------------------------------------------------

    def _of_student(self, row: PlannedRow, student_id: UUID) -> PlannedRow:
        student = self._state.students.get(student_id)
        if student_id in self._again:
            return self._made_again(row, student_id)
        if student is None:
            return self._kept(row, _GONE)
        if row.kind is RowKind.UPDATED:
            return self._updated(row, student)
        if student_id in self._ends:
            return self._ended(row, student)
        return self._of_member(row, student)

    def _of_member(self, row: PlannedRow, student: StudentState) -> PlannedRow:
        if row.class_id is not None and row.class_id not in self._state.classes:
            return self._kept(row, _NO_CLASS)
        is_back = row.kind in (RowKind.LEFT, RowKind.DELETED)
        return self._back(row, student) if is_back else self._out(row, student)

    def _updated(self, row: PlannedRow, student: StudentState) -> PlannedRow:
        one = self._restored[student.id]
        before, after = difference(values_of(student), one.after)
        kind = RowKind.UPDATED if after and student.id not in self._ends else RowKind.UNCHANGED
        where = one.where if kind is RowKind.UPDATED else self._there(row.class_id)
        told = one.notices
        if kind is RowKind.UNCHANGED:
            return self._row(row, kind, where, student.id, notices=told)
        return self._row(row, kind, where, student.id, before=before, after=after, notices=told)

    def _ended(self, row: PlannedRow, student: StudentState) -> PlannedRow:
        """Return the row of a student that is deleted when it has left its other classes."""
        end, class_id = self._ends[student.id], self._there(row.class_id)
        before = known_members(values_of(student))
        is_first = row.kind is RowKind.CREATED
        if end == class_id if student.class_ids else is_first:
            return self._row(row, RowKind.DELETED, end, student.id, before=before)
        if class_id in student.class_ids:
            return self._row(row, RowKind.LEFT, class_id, student.id, before=before)
        return self._kept(row, _MOVED_OUT)

    def _out(self, row: PlannedRow, student: StudentState) -> PlannedRow:
        """Return the row that takes a student out of a class again."""
        why = self._why_kept(student) if row.kind is RowKind.CREATED else None
        notices = [_not_taken(why)] if why else []
        if row.class_id is None or row.class_id not in student.class_ids:
            return self._kept(row, why or _MOVED_OUT)
        before = known_members(values_of(student))
        return self._row(
            row, RowKind.LEFT, row.class_id, student.id, before=before, notices=notices
        )

    def _back(self, row: PlannedRow, student: StudentState) -> PlannedRow:
        """Return the row that brings a student back into a class."""
        if row.class_id is None or row.class_id in student.class_ids:
            return self._kept(row, _MOVED_IN)
        if not self._places.take(student.id, row.class_id):
            return self._kept(row, _FULL)
        return self._row(row, RowKind.JOINED, row.class_id, student.id)

    def _made_again(self, row: PlannedRow, student_id: UUID) -> PlannedRow:
        one, class_id = self._restored[student_id], self._there(row.class_id)
        if class_id == one.where:
            after = known_members(one.after)
            return self._row(
                row, RowKind.CREATED, class_id, one.id, after=after, notices=one.notices
            )
        if class_id is None:
            return self._kept(row, _NO_CLASS)
        return self._row(row, RowKind.JOINED, class_id, one.id)

    # --- rows ----------------------------------------------------------------------------------

    def _there(self, class_id: UUID | None) -> UUID | None:
        """Return a class if it is still there."""
        return class_id if class_id in self._state.classes else None

    def _kept(self, row: PlannedRow, why: str) -> PlannedRow:
        notices = [_not_taken(why)]
        class_id = self._there(row.class_id)
        # Nobody is named who is gone, or will be when the class's part is applied.
        is_there = row.student_id in self._state.students and row.student_id not in self._ends
        student_id = row.student_id if is_there else None
        return self._row(row, RowKind.UNCHANGED, class_id, student_id, notices=notices)

    def _row(
        self,
        row: PlannedRow,
        kind: RowKind,
        class_id: UUID | None,
        student_id: UUID | None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        notices: Iterable[Notice] = (),
    ) -> PlannedRow:
        return PlannedRow(
            kind,
            row.entity,
            row.line,
            row.file,
            class_id,
            student_id,
            before,
            after,
            notices=tuple(notices),
        )


class _Places:
    """The places that classes and students have, as those who come back take them.

    Whoever leaves in the same plan makes no place: it may be in another part.
    """

    def __init__(self, state: RosterState) -> None:
        self._sizes = {one.id: len(one.member_ids) for one in state.classes.values()}
        self._classes = {one.id: len(one.class_ids) for one in state.students.values()}

    def take(self, student_id: UUID, class_id: UUID) -> bool:
        """Take a place, if there is one."""
        if self._sizes[class_id] >= MAX_STUDENTS or self._classes[student_id] >= MAX_CLASSES:
            return False
        self._sizes[class_id] += 1
        self._classes[student_id] += 1
        return True


def _not_taken(why: str) -> Notice:
    return Notice(NoticeCode.NOT_TAKEN, why)
