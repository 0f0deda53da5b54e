"""What commands ask for.

docs/contract.md, section 3, "Commands", lists their members; rules.messages.commands reads them.
"""

from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from rules.errors import FieldError, ServiceError
from rules.models import (
    Caller,
    ClassChange,
    HumanDecision,
    NewClass,
    NewStudent,
    Record,
    StudentChange,
)
from rules.values import dataclass


class CommandName(StrEnum):
    """What `data.command` may say."""

    CLASS_CREATE = "class.create"
    CLASS_UPDATE = "class.update"
    CLASS_DELETE = "class.delete"
    STUDENT_CREATE = "student.create"
    STUDENT_UPDATE = "student.update"
    STUDENT_DELETE = "student.delete"
    ROSTER_REGISTER = "roster.register"
    ASSOCIATIONS_CONFIRM = "associations.confirm"
    ASSOCIATIONS_CORRECT = "associations.correct"
    STUDENT_MERGE = "student.merge"


@dataclass(frozen=True, slots=True)
class ClassCreate:
    """Create a class."""

    new: NewClass


@dataclass(frozen=True, slots=True)
class ClassUpdate:
    """Change a class."""

    class_id: UUID
    change: ClassChange


@dataclass(frozen=True, slots=True)
class ClassDelete:
    """Delete a class."""

    class_id: UUID


@dataclass(frozen=True, slots=True)
class StudentCreate:
    """Create a student."""

    new: NewStudent


@dataclass(frozen=True, slots=True)
class StudentUpdate:
    """Change a student."""

    student_id: UUID
    change: StudentChange


@dataclass(frozen=True, slots=True)
class StudentDelete:
    """Delete a student."""

    student_id: UUID


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A student of a roster, with its row's index."""

    index: int
    new: NewStudent


@dataclass(frozen=True, slots=True)
class RosterRegister:
    """Create the students of a class, all or none; `faults` are those of unreadable rows."""

    class_id: UUID
    rows: tuple[RosterRow, ...]
    faults: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class AssociationsConfirm:
    """Decide essays of a batch, and those with a suggestion of at least `min_confidence`."""

    batch_id: UUID
    decisions: tuple[HumanDecision, ...]
    min_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class AssociationsCorrect:
    """Correct the decision on an essay; `student_id` None is nobody."""

    batch_id: UUID
    essay_id: UUID
    student_id: UUID | None


@dataclass(frozen=True, slots=True)
class StudentMerge:
    """Make one of two students."""

    student_id: UUID
    into: UUID


@dataclass(frozen=True, slots=True)
class Refused:
    """A command with invalid members: none of it is executed."""

    error: ServiceError


Order: TypeAlias = (
    ClassCreate
    | ClassUpdate
    | ClassDelete
    | StudentCreate
    | StudentUpdate
    | StudentDelete
    | RosterRegister
    | AssociationsConfirm
    | AssociationsCorrect
    | StudentMerge
    | Refused
)


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command; `named` are the ids that it gives of what it is about.

    Every given id that it creates or deletes is among them (`rules.commands.runs` relies on that).
    """

    event_id: UUID
    name: CommandName
    caller: Caller
    order: Order
    named: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandDelivery:
    """A command and the record that carried it."""

    record: Record
    command: Command
