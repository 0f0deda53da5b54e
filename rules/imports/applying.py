"""What applying a class's part of a plan does, from what is stored, read under lock.

A store reads the facts, has a step made of them, and carries it out in the same transaction. What
cannot be done leaves the class out as a whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from rules.emails import key_of
from rules.errors import ImportConflictError, TooLargeChangeError, ValidationFailedError
from rules.events import roster
from rules.history import Change, ChangeKind, enrollment_changes, student_change
from rules.imports.fingerprints import fingerprint
from rules.imports.marks import left_in
from rules.imports.plans import (
    ClassPlan,
    ImportState,
    Marked,
    MarkedClass,
    NoticeCode,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
)
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    ClassSummary,
    ExternalIdChange,
    NewClass,
    NewStudent,
    OutboxMessage,
    PersonName,
    StudentRecord,
)

#: How long a plan can be applied.
PLAN_KEPT: Final = timedelta(hours=24)
#: How long an import that has ended can be undone; then it is forgotten.
ENDED_KEPT: Final = timedelta(days=30)
#: After so many tries a class is left out, so that it holds up nobody.
MOST_TRIES: Final = 8

#: Rows by which a student is in the class that the file is about, as far as the file goes.
_NAMING: Final = frozenset({RowKind.CREATED, RowKind.UPDATED, RowKind.UNCHANGED, RowKind.JOINED})

#: Rows by which a student leaves it.
_LEAVING: Final = frozenset({RowKind.LEFT, RowKind.DELETED})


class LeftOut(StrEnum):
    """Why a class was not applied."""

    ERRORS = "errors"
    """Its part has errors, and was to be skipped."""
    MOVED = "moved"
    """What the part rests on is not as it was."""
    CONFLICT = "conflict"
    """Another student or class has an address or an external id by now."""
    FULL = "full"
    """A class would have too many students, or a student too many classes."""
    FAILED = "failed"
    """It failed again and again."""


class LeftOutError(Exception):
    """A class is left out."""

    def __init__(self, reason: LeftOut) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Part:
    """A class's part of an import; `is_sync` is of the import.

    `made` are the rows of other parts that create students whom this one names, `kept` the students
    of whom the import leaves something as it was made by hand, `resting` those whose values the
    part rests on (rules.imports.fingerprints).
    """

    plan: ClassPlan
    rows: Sequence[PlannedRow]
    resting: AbstractSet[UUID]
    made: Mapping[UUID, PlannedRow] = field(default_factory=dict)
    kept: AbstractSet[UUID] = frozenset()

    @property
    def student_ids(self) -> set[UUID]:
        """The students whom the rows are about."""
        return {one.student_id for one in self.rows if one.student_id and _is_of_student(one)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored, locked: the class, its state, and the part's students that there are."""

    cls: ClassRecord | None
    state: RosterState
    records: Mapping[UUID, StudentRecord]


@dataclass(frozen=True, slots=True)
class StudentStep:
    """What becomes of a student that is there."""

    before: StudentRecord
    after: StudentRecord
    joins: tuple[UUID, ...] = ()
    leaves: tuple[UUID, ...] = ()

    @property
    def frees(self) -> bool:
        """Whether an address or external id becomes free that another student may take."""
        return _unique(self.before) != _unique(self.after)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done, all at once or not at all.

    `marks`, `members` and `class_mark` are what the import leaves, as ClassState and StudentState
    have it. `deleted` students leave with all that they have.
    `created_here` are students of whom the plan has another class's part make them.
    """

    class_id: UUID | None
    new_class: NewClass | None = None
    class_change: ClassChange | None = None
    created: tuple[NewStudent, ...] = ()
    changed: tuple[StudentStep, ...] = ()
    deleted: tuple[StudentRecord, ...] = ()
    marks: Mapping[UUID, Marked] = field(default_factory=dict)
    members: frozenset[UUID] | None = None
    class_mark: MarkedClass | None = None
    created_here: frozenset[UUID] = frozenset()

    @property
    def leaving(self) -> list[UUID]:
        """The students that leave the class, and stay."""
        return [one.before.id for one in self.changed if one.leaves]


def make_step(part: Part, facts: Facts) -> Step:
    """Return what applying a part does. Raises LeftOutError."""
    if fingerprint(facts.state, part.plan.class_id, part.resting) != part.plan.fingerprint:
        raise LeftOutError(LeftOut.MOVED)
    made = _Made(part, facts)
    for student_id, rows in _by_student(part.rows).items():
        made.take(student_id, rows)
    step = Step(
        part.plan.class_id,
        *_class_of(part),
        created=tuple(made.created),
        changed=tuple(made.changed),
        deleted=tuple(made.deleted),
        marks=made.marks,
        members=_members(part, facts),
        class_mark=_class_mark(part, facts),
        created_here=frozenset(made.created_here),
    )
    _check_size(part, facts, step)
    return step


def _is_of_student(row: PlannedRow) -> bool:
    return row.entity is RowEntity.STUDENT and row.kind is not RowKind.ERROR


def _by_student(rows: Iterable[PlannedRow]) -> Mapping[UUID, list[PlannedRow]]:
    found: defaultdict[UUID, list[PlannedRow]] = defaultdict(list)
    for row in rows:
        if row.student_id is not None and _is_of_student(row):
            found[row.student_id].append(row)
    return found


# --- the class ---------------------------------------------------------------------------------


def _class_of(part: Part) -> tuple[NewClass | None, ClassChange | None]:
    """Return the class to create, or what to change of it."""
    row = next((r for r in part.rows if r.entity is RowEntity.CLASS and r.after), None)
    if row is None or row.class_id is None or row.after is None:
        return None, None
    after = row.after
    if row.kind is RowKind.CREATED:
        external_id = after.get("external_id")
        return NewClass(row.class_id, after["name"], after["course_code"], external_id), None
    if row.kind is not RowKind.UPDATED:
        return None, None
    external = ExternalIdChange(after["external_id"]) if "external_id" in after else None
    return None, ClassChange(after.get("name"), after.get("course_code"), external)


def _members(part: Part, facts: Facts) -> frozenset[UUID] | None:
    """Return whom the import leaves in the class: also who is kept out by hand."""
    class_id = part.plan.class_id
    if class_id is None:
        return None
    return left_in(facts.state.classes.get(class_id), part.rows)


def _class_mark(part: Part, facts: Facts) -> MarkedClass | None:
    """Return what the import leaves of the class; of what it does not change the mark stays."""
    class_id = part.plan.class_id
    if class_id is None:
        return None
    known = facts.state.classes.get(class_id)
    old = known.mark if known else None
    row = next((r for r in part.rows if r.entity is RowEntity.CLASS), None)
    after = row.after if row and row.after and row.kind in _NAMING else {}
    if known is not None and old is None:
        old = MarkedClass(known.name, known.external_id)
    name, external_id = (old.name, old.external_id) if old else ("", None)
    return MarkedClass(after.get("name", name), after.get("external_id", external_id))


def _check_size(part: Part, facts: Facts, step: Step) -> None:
    if part.plan.class_id is None:
        return
    known = facts.state.classes.get(part.plan.class_id)
    before = len(known.member_ids) if known else 0
    joining = len(step.created) + sum(1 for one in step.changed if one.joins)
    leaving = len(step.leaving) + len(step.deleted)
    if joining and before + joining - leaving > MAX_STUDENTS:
        raise LeftOutError(LeftOut.FULL)


# --- its students ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Made:
    """What the rows come to, one student after another."""

    part: Part
    facts: Facts
    created: list[NewStudent] = field(default_factory=list)
    changed: list[StudentStep] = field(default_factory=list)
    deleted: list[StudentRecord] = field(default_factory=list)
    marks: dict[UUID, Marked] = field(default_factory=dict)
    created_here: set[UUID] = field(default_factory=set)

    def take(self, student_id: UUID, rows: Sequence[PlannedRow]) -> None:
        """Take the rows of a student. Raises LeftOutError."""
        record = self.facts.records.get(student_id)
        if record is None:
            if any(row.kind is not RowKind.UNCHANGED for row in rows):  # an undo names who is gone
                self._create(student_id, rows)
        elif record.is_placeholder or any(row.kind is RowKind.CREATED for row in rows):
            raise LeftOutError(LeftOut.MOVED)
        elif any(row.kind is RowKind.DELETED for row in rows) and self._may_go(record):
            self.deleted.append(record)
        else:
            self._change(record, rows)

    def _may_go(self, record: StudentRecord) -> bool:
        """Whether a student can be deleted: it is nowhere else, and no essay is decided for it."""
        state = self.facts.state.students.get(record.id)
        is_elsewhere = set(record.class_ids) - {self.part.plan.class_id}
        return not is_elsewhere and state is not None and not state.decided

    def _create(self, student_id: UUID, rows: Sequence[PlannedRow]) -> None:
        """Create a student, also one whom the part of a class that was left out was to create."""
        row = next((row for row in rows if row.kind is RowKind.CREATED), None)
        if row is None:
            row = self.part.made.get(student_id)
            self.created_here.add(student_id)
        if row is None or row.after is None:
            raise LeftOutError(LeftOut.MOVED)
        class_id = self.part.plan.class_id
        class_ids = () if class_id is None else (class_id,)
        after = row.after
        new = NewStudent(
            student_id,
            _name(after),
            after.get("email"),
            class_ids,
            external_id=after.get("external_id"),
        )
        self.created.append(new)
        self.marks[student_id] = Marked(new.name, new.email, new.external_id)

    def _change(self, record: StudentRecord, rows: Sequence[PlannedRow]) -> None:
        kinds = {row.kind for row in rows}
        values: dict[str, Any] = {}
        for row in rows:
            if row.kind is RowKind.UPDATED and row.after:
                values |= row.after
        class_id = self.part.plan.class_id
        joins, leaves = RowKind.JOINED in kinds, bool(kinds & _LEAVING)
        step = _student_step(record, values, class_id, joins=joins, leaves=leaves)
        if step is not None:
            self.changed.append(step)
        mark = self._mark(record, step.after if step else record, values)
        if mark is not None and kinds & _NAMING:
            self.marks[record.id] = mark

    def _mark(
        self, before: StudentRecord, after: StudentRecord, values: Mapping[str, Any]
    ) -> Marked | None:
        """Return what the import leaves; of what is kept by hand the mark stays as it was.

        So it does where another part decides on the values: somebody may have changed them since.
        """
        state = self.facts.state.students.get(before.id)
        old = state.mark if state else None
        is_kept = before.id in self.part.kept or before.id not in self.part.resting
        if old is None or not is_kept:
            return Marked(after.name, after.email, after.external_id)
        name = old.name
        return Marked(
            PersonName(
                values.get("first_name", name.first_name),
                values.get("last_name", name.last_name),
                values.get("full_name", name.legal_full_name),
            ),
            values.get("email", old.email),
            values.get("external_id", old.external_id),
        )


def _keeps(row: PlannedRow) -> bool:
    """Whether the plan leaves something of a student as it was made by hand."""
    return any(notice.code is NoticeCode.KEPT_BY_HAND for notice in row.notices)


def kept_by_hand(rows: Iterable[PlannedRow], *, is_undo: bool) -> set[UUID]:
    """Return the students of whom a plan may leave something as it was made by hand.

    An undo says no values but those that it changes.
    """
    named = ((row.student_id, is_undo or _keeps(row)) for row in rows)
    return {student_id for student_id, is_kept in named if student_id is not None and is_kept}


def _name(values: Mapping[str, Any]) -> PersonName:
    """Return the name of a student to create."""
    first, last = values.get("first_name", ""), values.get("last_name", "")
    return PersonName(first, last, values.get("full_name") or f"{first} {last}".strip())


def _student_step(
    record: StudentRecord,
    values: Mapping[str, Any],
    class_id: UUID | None,
    *,
    joins: bool,
    leaves: bool,
) -> StudentStep | None:
    """Return what becomes of a student, None for nothing. Raises LeftOutError."""
    name = record.name
    enrolled = set(record.class_ids)
    of = () if class_id is None else (class_id,)
    joined = tuple(one for one in of if joins and one not in enrolled)
    left = tuple(one for one in of if leaves and one in enrolled)
    class_ids = tuple(sorted((enrolled | set(joined)) - set(left)))
    if joined and len(class_ids) > max(len(enrolled), MAX_CLASSES):
        raise LeftOutError(LeftOut.FULL)
    after = replace(
        record,
        name=PersonName(
            values.get("first_name", name.first_name),
            values.get("last_name", name.last_name),
            values.get("full_name", name.legal_full_name),
        ),
        email=values.get("email", record.email),
        external_id=values.get("external_id", record.external_id),
        class_ids=class_ids,
    )
    if after == record:
        return None
    return StudentStep(record, replace(after, version=record.version + 1), joined, left)


def _unique(record: StudentRecord) -> tuple[str | None, str | None]:
    return None if record.email is None else key_of(record.email), record.external_id


# --- what it tells -----------------------------------------------------------------------------


def tell_changed(
    caller: Caller, one: StudentStep, cls: ClassSummary | None, at: datetime
) -> list[OutboxMessage]:
    """Return what the change of a student publishes; `cls` is the class of the step."""
    added = [cls] if cls is not None and one.joins else []
    return roster.student_updated(caller, one.after, added, one.leaves, at)


def changes_of(caller: Caller, one: StudentStep) -> list[Change]:
    """Return what is remembered of the change of a student."""
    return [
        student_change(caller, one.before, one.after),
        *enrollment_changes(caller, ChangeKind.DELETED, one.before.id, one.leaves),
        *enrollment_changes(caller, ChangeKind.CREATED, one.before.id, one.joins),
    ]


# --- applying as a whole -------------------------------------------------------------------------


def check_applicable(
    state: ImportState,
    classes: Iterable[ClassPlan],
    errors: int,
    *,
    force: bool,
    skip_errors: bool,
) -> None:
    """Check that a plan can be applied; `errors` are its rows with errors.

    Raises ImportConflictError, ValidationFailedError, TooLargeChangeError.
    """
    if state is not ImportState.PLANNED:
        raise ImportConflictError(_WHY_NOT[state])
    if errors and not skip_errors:
        raise ValidationFailedError(
            "The plan has errors: look at its rows, mend the file and import it again, or apply it "
            "with `skip_errors=true`, which leaves out the classes that have them."
        )
    if not force and any(one.is_large for one in classes if not one.has_errors):
        raise TooLargeChangeError


_WHY_NOT: Final[Mapping[ImportState, str]] = {
    ImportState.APPLYING: "The import is being applied.",
    ImportState.APPLIED: "The import is applied already.",
    ImportState.FAILED: "Nothing of the import could be applied: import the file again.",
    ImportState.EXPIRED: "The plan is older than 24 hours: import the file again.",
}


def check_undoable(state: ImportState) -> None:
    """Check that an import can be undone. Raises ImportConflictError."""
    if state is ImportState.PLANNED:
        raise ImportConflictError("The import is not applied yet: there is nothing to undo.")
    if state is not ImportState.APPLIED:
        raise ImportConflictError(_WHY_NOT[state])
