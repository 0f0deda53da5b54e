"""Commands: the envelope, who wants what, and the members of each (docs/contract.md, section 3)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, OnErrorOmit, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from rules.commands.orders import (
    AssociationsConfirm,
    AssociationsCorrect,
    ClassCreate,
    ClassDelete,
    ClassUpdate,
    Command,
    CommandName,
    Order,
    Refused,
    RosterRegister,
    RosterRow,
    StudentCreate,
    StudentDelete,
    StudentMerge,
    StudentUpdate,
)
from rules.commands.rosters import row_of, without_repeated_ids
from rules.errors import (
    AuthenticationRequiredError,
    FieldError,
    MultipleCoursesError,
    ServiceError,
    ValidationFailedError,
)
from rules.identity import MAX_USER_ID, is_reserved, is_user_id
from rules.inputs import (
    ClassChangeInput,
    CorrectionInput,
    DecisionsInput,
    Input,
    MergeInput,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
    faults_of,
    is_of_several_courses,
)
from rules.messages.envelopes import Metadata, Wire, read, traceparent_of
from rules.models import Caller, Record, Trace

MAX_ROSTER: Final = 1_000
#: More than the longest roster can have: of its rows every bad one must be known.
MAX_FAULTS: Final = 10 * MAX_ROSTER

#: What a command asks for, and the ids that it names.
Reading = tuple[Order, tuple[UUID, ...]]


def _user(text: str) -> str:
    if not is_user_id(text):
        raise PydanticCustomError("user_id", "Must name a user.")
    return text


class CommandHead(Wire):
    """Who wants what; the other members depend on it."""

    command: CommandName
    user_id: Annotated[str, StringConstraints(max_length=MAX_USER_ID), AfterValidator(_user)]


class ClassCreateData(CommandHead, NewClassInput):
    """class.create."""

    command: Literal[CommandName.CLASS_CREATE]
    class_id: UUID | None = None


class ClassUpdateData(CommandHead, ClassChangeInput):
    """class.update."""

    command: Literal[CommandName.CLASS_UPDATE]
    class_id: UUID


class ClassDeleteData(CommandHead, Input):
    """class.delete."""

    command: Literal[CommandName.CLASS_DELETE]
    class_id: UUID


class RosterStudentInput(NewStudentInput):
    """A row of a roster."""

    student_id: UUID | None = None


class StudentCreateData(CommandHead, RosterStudentInput):
    """student.create."""

    command: Literal[CommandName.STUDENT_CREATE]


class StudentUpdateData(CommandHead, StudentChangeInput):
    """student.update."""

    command: Literal[CommandName.STUDENT_UPDATE]
    student_id: UUID


class StudentDeleteData(CommandHead, Input):
    """student.delete."""

    command: Literal[CommandName.STUDENT_DELETE]
    student_id: UUID


class RosterRegisterData(CommandHead, Input):
    """roster.register."""

    command: Literal[CommandName.ROSTER_REGISTER]
    class_id: UUID
    students: Annotated[list[RosterStudentInput], Field(min_length=1, max_length=MAX_ROSTER)]


class AssociationsConfirmData(CommandHead, DecisionsInput):
    """associations.confirm."""

    command: Literal[CommandName.ASSOCIATIONS_CONFIRM]
    batch_id: UUID


class AssociationsCorrectData(CommandHead, CorrectionInput):
    """associations.correct."""

    command: Literal[CommandName.ASSOCIATIONS_CORRECT]
    batch_id: UUID
    essay_id: UUID


class StudentMergeData(CommandHead, MergeInput):
    """student.merge."""

    command: Literal[CommandName.STUDENT_MERGE]
    student_id: UUID


CommandData = (
    ClassCreateData
    | ClassUpdateData
    | ClassDeleteData
    | StudentCreateData
    | StudentUpdateData
    | StudentDeleteData
    | RosterRegisterData
    | AssociationsConfirmData
    | AssociationsCorrectData
    | StudentMergeData
)


class HeadEnvelope(Wire):
    """An envelope of which only the head is read."""

    event_id: UUID
    correlation_id: UUID
    data: CommandHead
    metadata: Metadata | None = None


class CommandEnvelope(HeadEnvelope):
    """An envelope with all members of its command."""

    data: Annotated[CommandData, Field(discriminator="command")]


class PartialRosterData(Wire):
    """A roster without its bad rows, which the full reading has named."""

    class_id: UUID
    students: Annotated[list[OnErrorOmit[RosterStudentInput]], Field(max_length=MAX_ROSTER)]


class PartialRosterEnvelope(Wire):
    """An envelope of which only the good rows of a roster are read."""

    data: PartialRosterData


def parse_command(record: Record) -> Command:
    """Read a command; one with invalid members is `Refused`, and so has a result.

    Raises ValidationFailedError if there is no sender to get a result. Its text names places, not
    values.
    """
    value = record.value or b""
    envelope: HeadEnvelope
    reading: Callable[[], Reading]
    try:
        envelope = whole = CommandEnvelope.model_validate_json(value)
    except ValidationError as error:
        envelope = read(HeadEnvelope, value)
        reading = partial(_misfit, envelope.data.command, error, value)
    else:
        reading = partial(_resolve, whole.data)
    if is_reserved(envelope.data.user_id):
        reading = _nobody
    order, named = _or_refused(reading)
    head = envelope.data
    trace = Trace(envelope.correlation_id, traceparent_of(record, envelope.metadata))
    return Command(envelope.event_id, head.command, Caller(head.user_id, trace), order, named)


def _or_refused(read_order: Callable[[], Reading]) -> Reading:
    try:
        return read_order()
    except ServiceError as refusal:
        return Refused(refusal), ()


def _nobody() -> Reading:
    raise AuthenticationRequiredError("The service itself is no user: nobody acts in its name.")


def _resolve(data: CommandData) -> Reading:
    reading: Reading
    # The most frequent first: pydantic takes its time to say that something is of another class.
    match data:
        case StudentCreateData():
            reading = StudentCreate(data.resolve(data.student_id)), _ids(data.student_id)
        case RosterRegisterData():
            reading = _roster(data.class_id, dict(enumerate(data.students)), ())
        case ClassCreateData():
            reading = ClassCreate(data.resolve(data.class_id)), _ids(data.class_id)
        case ClassUpdateData():
            reading = ClassUpdate(data.class_id, data.resolve()), (data.class_id,)
        case ClassDeleteData():
            reading = ClassDelete(data.class_id), (data.class_id,)
        case StudentUpdateData():
            reading = StudentUpdate(data.student_id, data.resolve()), (data.student_id,)
        case StudentDeleteData():
            reading = StudentDelete(data.student_id), (data.student_id,)
        case AssociationsConfirmData():
            decisions = tuple(data.resolve())
            order = AssociationsConfirm(data.batch_id, decisions, data.min_confidence)
            reading = order, (data.batch_id,)
        case AssociationsCorrectData() | StudentMergeData():
            reading = _mending(data)
    return reading


def _mending(data: AssociationsCorrectData | StudentMergeData) -> Reading:
    if isinstance(data, StudentMergeData):
        return StudentMerge(data.student_id, data.into), (data.student_id, data.into)
    order = AssociationsCorrect(data.batch_id, data.essay_id, data.student_id)
    return order, (data.batch_id, data.essay_id)


def _misfit(name: CommandName, error: ValidationError, value: bytes) -> Reading:
    """Return a refusal with pointers into the command's data, or a roster with bad rows."""
    if is_of_several_courses(error):
        return Refused(MultipleCoursesError()), ()
    below = f"/data/{name}"
    faults = [
        FieldError(f.pointer.removeprefix(below), f.detail) for f in faults_of(error, MAX_FAULTS)
    ]
    bad = {row_of(fault) for fault in faults}
    if name is CommandName.ROSTER_REGISTER and -1 not in bad:
        roster = read(PartialRosterEnvelope, value).data
        places = (index for index in range(MAX_ROSTER) if index not in bad)
        # The good rows, in order: there are as many places left.
        return _roster(roster.class_id, dict(zip(places, roster.students, strict=False)), faults)
    return Refused(ValidationFailedError("The command's members do not fit.", faults)), ()


def _roster(
    class_id: UUID, given: dict[int, RosterStudentInput], unread: Sequence[FieldError]
) -> Reading:
    named = _ids(*(row.student_id for row in given.values()))
    rows = [RosterRow(index, row.resolve(row.student_id, class_id)) for index, row in given.items()]
    kept, repeated = without_repeated_ids(rows)
    faults = tuple(sorted([*unread, *repeated], key=row_of))
    return RosterRegister(class_id, tuple(kept), faults), named


def _ids(*given: UUID | None) -> tuple[UUID, ...]:
    return tuple(one for one in given if one is not None)
