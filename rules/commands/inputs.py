"""What commands carry beside their name and user: the bodies of HTTP, and ids (contract, 3)."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

from pydantic import Field

from rules.commands.orders import (
    AssociationsConfirm,
    ClassCreate,
    ClassDelete,
    ClassUpdate,
    CommandName,
    Order,
    Refused,
    RosterRegister,
    RosterRow,
    StudentCreate,
    StudentDelete,
    StudentUpdate,
)
from rules.commands.rosters import row_of, without_repeated_ids
from rules.errors import FieldError, ServiceError, ValidationFailedError
from rules.inputs import (
    ConfirmInput,
    CreateClassInput,
    CreateStudentInput,
    Input,
    UpdateClassInput,
    UpdateStudentInput,
    read_json,
)

MAX_ROSTER: Final = 1_000

_DATA: Final = "/data"
_DETAIL: Final = "The command's members do not fit."


class CreateClassCommand(CreateClassInput):
    """class.create."""

    class_id: UUID | None = None


class UpdateClassCommand(UpdateClassInput):
    """class.update."""

    class_id: UUID


class DeleteClassCommand(Input):
    """class.delete."""

    class_id: UUID


class CreateStudentCommand(CreateStudentInput):
    """student.create, and a row of a roster."""

    student_id: UUID | None = None


class UpdateStudentCommand(UpdateStudentInput):
    """student.update."""

    student_id: UUID


class DeleteStudentCommand(Input):
    """student.delete."""

    student_id: UUID


class RegisterRosterCommand(Input):
    """roster.register."""

    class_id: UUID
    students: Annotated[list[CreateStudentCommand], Field(min_length=1, max_length=MAX_ROSTER)]


class AnyRoster(Input):
    """A roster with rows that do not all fit, to be read one by one: a bad one hides no other."""

    class_id: UUID
    students: list[Any]


class ConfirmCommand(ConfirmInput):
    """associations.confirm."""

    batch_id: UUID


InputT = TypeVar("InputT", bound=Input)


class InEnvelope(Input, Generic[InputT]):
    """An envelope of which only the data is looked at."""

    data: InputT


Reading = tuple[Order, tuple[UUID, ...]]


def read_order(name: CommandName, envelope: bytes) -> Reading:
    """Read what a command asks for, and the ids that it names.

    What does not fit is an order that is refused, with pointers into the command's data.
    """
    try:
        return _READERS[name](envelope)
    except ServiceError as refusal:
        return Refused(refusal), ()


def _read(model: type[InputT], envelope: bytes) -> InputT:
    try:
        return read_json(InEnvelope[model], envelope).data  # type: ignore[valid-type]  # at run time
    except ValidationFailedError as refusal:
        raise ValidationFailedError(_DETAIL, _below(_DATA, refusal.errors)) from None


def _below(prefix: str, faults: tuple[FieldError, ...]) -> list[FieldError]:
    return [FieldError(f.pointer.removeprefix(prefix), f.detail) for f in faults]


def _ids(*given: UUID | None) -> tuple[UUID, ...]:
    return tuple(one for one in given if one is not None)


def _create_class(envelope: bytes) -> Reading:
    read = _read(CreateClassCommand, envelope)
    return ClassCreate(read.resolve(read.class_id)), _ids(read.class_id)


def _update_class(envelope: bytes) -> Reading:
    read = _read(UpdateClassCommand, envelope)
    return ClassUpdate(read.class_id, read.resolve()), (read.class_id,)


def _delete_class(envelope: bytes) -> Reading:
    read = _read(DeleteClassCommand, envelope)
    return ClassDelete(read.class_id), (read.class_id,)


def _create_student(envelope: bytes) -> Reading:
    read = _read(CreateStudentCommand, envelope)
    return StudentCreate(read.resolve(read.student_id)), _ids(read.student_id)


def _update_student(envelope: bytes) -> Reading:
    read = _read(UpdateStudentCommand, envelope)
    return StudentUpdate(read.student_id, read.resolve()), (read.student_id,)


def _delete_student(envelope: bytes) -> Reading:
    read = _read(DeleteStudentCommand, envelope)
    return StudentDelete(read.student_id), (read.student_id,)


def _confirm(envelope: bytes) -> Reading:
    read = _read(ConfirmCommand, envelope)
    return AssociationsConfirm(read.batch_id, tuple(read.resolve())), (read.batch_id,)


def _register_roster(envelope: bytes) -> Reading:
    class_id, given, unread = _read_roster(envelope)
    named = _ids(*(row.student_id for row in given.values()))
    rows = [RosterRow(index, row.resolve(row.student_id, class_id)) for index, row in given.items()]
    kept, repeated = without_repeated_ids(rows)
    faults = tuple(sorted([*unread, *repeated], key=row_of))
    return RosterRegister(class_id, tuple(kept), faults), named


def _read_roster(
    envelope: bytes,
) -> tuple[UUID, dict[int, CreateStudentCommand], list[FieldError]]:
    """Return the class, the rows that fit by their place, and the faults of the others."""
    try:
        read = _read(RegisterRosterCommand, envelope)
    except ValidationFailedError as refusal:
        bad = {row_of(fault) for fault in refusal.errors}
        if -1 in bad:
            raise
        loose = _read(AnyRoster, envelope)
        # Not orjson, which refuses integers that a reader leaves unread.
        rows = {
            index: read_json(CreateStudentCommand, json.dumps(row).encode())
            for index, row in enumerate(loose.students)
            if index not in bad
        }
        return loose.class_id, rows, list(refusal.errors)
    return read.class_id, dict(enumerate(read.students)), []


_READERS: Final[Mapping[CommandName, Callable[[bytes], Reading]]] = {
    CommandName.CLASS_CREATE: _create_class,
    CommandName.CLASS_UPDATE: _update_class,
    CommandName.CLASS_DELETE: _delete_class,
    CommandName.STUDENT_CREATE: _create_student,
    CommandName.STUDENT_UPDATE: _update_student,
    CommandName.STUDENT_DELETE: _delete_student,
    CommandName.ROSTER_REGISTER: _register_roster,
    CommandName.ASSOCIATIONS_CONFIRM: _confirm,
}
