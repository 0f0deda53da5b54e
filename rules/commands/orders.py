"""Commands: what they ask for.

docs/contract.md, section 3, "Commands", lists their members; rules.messages.commands reads them.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ClassCreate:
    """Make a class."""

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
    """Make a student."""

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
    """A student of a roster, and which of its rows it is."""

    index: int
    new: NewStudent


@dataclass(frozen=True, slots=True)
class RosterRegister:
    """Make the students of a class, all or none.

    `faults` are those of rows that cannot be read; `rows` are the others.
    """

    class_id: UUID
    rows: tuple[RosterRow, ...]
    faults: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class AssociationsConfirm:
    """Decide essays of a batch."""

    batch_id: UUID
    decisions: tuple[HumanDecision, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A command whose members are at fault: nothing of it is carried out."""

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
    | Refused
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was read; `named` are the ids of what it is about, where it gives them.

    Every given id that it makes or deletes is among them (`rules.commands.runs` rests on that).
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
