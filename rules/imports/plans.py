"""What an import would change, and what it is decided from (docs/contract.md).

A plan is made of what a file says and of the state that was read; it is stored, shown, and applied
class by class, each in a transaction of its own, if what the class's part rests on has not moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from rules.imports.files import CellError
from rules.models import PersonName


class Mode(StrEnum):
    """What becomes of students of a class that its file does not have."""

    ADD = "add"
    """They stay."""
    SYNC = "sync"
    """They leave the class."""


class RowKind(StrEnum):
    """What a row of a plan does: one row, one effect.

    A line may have two: its student is updated, in its class or by the part of another one, and
    joins its class or is there unchanged.
    """

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    JOINED = "joined"
    LEFT = "left"
    DELETED = "deleted"
    """An undo deletes a student whom the import made, and who with that is in no class any more.

    It leaves the class that is the row's (`before` has its values). Where by then it is in another
    class or an essay is decided for it, it only leaves.
    """
    ERROR = "error"


class RowEntity(StrEnum):
    """What a row is about."""

    STUDENT = "student"
    CLASS = "class"


class NoticeCode(StrEnum):
    """What is worth a look before a plan is applied."""

    NEAR_DUPLICATE = "near_duplicate"
    """Another student is much like this one: `student_id`, or `other_line` of the file."""
    KEPT_BY_HAND = "kept_by_hand"
    """Somebody changed it since the last import, and the plan leaves it (`overwrite=false`)."""
    SAID_TOO = "said_too"
    """Somebody changed it since the last import, and the file says the same: that counts as
    imported from now on."""
    NAME_SPLIT = "name_split"
    """The file has the full name only: where the first name ends is a guess."""
    MATCHED_BY_EMAIL = "matched_by_email"
    MATCHED_BY_NAME = "matched_by_name"
    NOT_TAKEN = "not_taken"
    """What an undo leaves as it is, and why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a row that is worth a look."""

    code: NoticeCode
    detail: str
    student_id: UUID | None = None
    other_line: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row of a plan. `line` is None for what no line says (who is missing and leaves).

    `class_id` is the class by whose step the row is applied; None belongs to no class. `before`
    and `after` are JSON objects of the student (`first_name`, `last_name`, `full_name`, `email`,
    `external_id`) or class (`name`, `course_code`, `external_id`): of what is created all that is
    not null, of what is updated the members that change, of a class also those that somebody had
    changed as the file has them. A student that does not exist yet has its id from the plan, so
    that applying twice creates it once.
    """

    kind: RowKind
    entity: RowEntity = RowEntity.STUDENT
    line: int | None = None
    file: str = ""
    class_id: UUID | None = None
    student_id: UUID | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    errors: tuple[CellError, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows of a plan are of each kind, of students; classes are counted apart."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    joined: int = 0
    left: int = 0
    errors: int = 0
    classes_created: int = 0
    classes_updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """The part of a plan that is applied in one transaction.

    `class_id` is None for students whose rows belong to no class. `fingerprint` is of the state
    that the part rests on (rules.imports.fingerprints). `is_large`: it takes out more than a tenth
    of a class of ten or more, or changes more than three quarters, and needs `force`.
    """

    class_id: UUID | None
    fingerprint: str
    is_new: bool = False
    is_large: bool = False
    has_errors: bool = False
    taken_out: int = 0
    changed: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would do, class by class, its rows in the order of their lines."""

    classes: tuple[ClassPlan, ...]
    rows: tuple[PlannedRow, ...]
    summary: Summary


@dataclass(frozen=True, slots=True)
class Marked:
    """What the last import left of a student: who changed it since, did so by hand."""

    name: PersonName
    email: str | None
    external_id: str | None


@dataclass(frozen=True, slots=True)
class MarkedClass:
    """What the last import left of a class."""

    name: str
    external_id: str | None


@dataclass(frozen=True, slots=True)
class StudentState:
    """A student of the owner as it is now. `mark` is None if no import has touched it.

    `decided`: essays are decided for it.
    """

    id: UUID
    name: PersonName
    email: str | None
    external_id: str | None
    version: int
    class_ids: frozenset[UUID]
    mark: Marked | None = None
    decided: bool = False


@dataclass(frozen=True, slots=True)
class ClassState:
    """A class of the owner as it is now; UNKNOWN is no member.

    `marked` are the members that the last import left in it (also who has left since); None: no
    import has touched it. `mark` is what the last import left of its own values, None if that is
    not known: then a file's name of the class is taken.
    """

    id: UUID
    name: str
    course_code: str
    external_id: str | None
    version: int
    member_ids: frozenset[UUID]
    marked: frozenset[UUID] | None = None
    mark: MarkedClass | None = None

    def is_by_hand(self, student_id: UUID) -> bool:
        """Whether somebody put a student in, or took it out, since the last import."""
        is_in = student_id in self.member_ids
        return self.marked is not None and is_in != (student_id in self.marked)


@dataclass(frozen=True, slots=True)
class RosterState:
    """All classes and students of an owner that a plan may look at (UNKNOWN students are none)."""

    classes: Mapping[UUID, ClassState] = field(default_factory=dict)
    students: Mapping[UUID, StudentState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How to plan.

    `class_id`: all lines are of this class (`POST /v1/classes/{class_id}/roster/import`); None:
    the file names the classes. `course_code`: of new classes of which the file does not say it.
    `overwrite`: also what was changed by hand since the last import.
    """

    mode: Mode = Mode.ADD
    class_id: UUID | None = None
    course_code: str | None = None
    overwrite: bool = False


class ImportState(StrEnum):
    """How far an import is."""

    PLANNED = "planned"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as stored. `progress` is 0..1, `version` counts its changes from 1.

    `class_id` is the class that it imports into, None for many. `undoes` is the import that it
    takes back, `undone_by` the latest that takes it back and was applied, or is being applied.
    `left_out` are the classes that moved, or were not to be applied, in the end.
    """

    id: UUID
    owner_id: str
    state: ImportState
    mode: Mode
    class_id: UUID | None
    summary: Summary
    progress: float
    version: int
    created_at: datetime
    expires_at: datetime
    undoes: UUID | None = None
    filename: str | None = None
    is_large: bool = False
    left_out: tuple[UUID, ...] = ()
    undone_by: UUID | None = None
