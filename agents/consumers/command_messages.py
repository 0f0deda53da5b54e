"""Commands, as they stand on the wire (contract, section 3)."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from agents.consumers.messages import Wire, read, traceparent_of
from rules.commands.inputs import read_order
from rules.commands.orders import Command, CommandName
from rules.identity import is_user_id
from rules.models import Caller, Record, Trace


def _user(text: str) -> str:
    if not is_user_id(text):
        raise PydanticCustomError("user_id", "Must name a user.")
    return text


class CommandHead(Wire):
    """What says who wants what; the other members depend on it."""

    command: CommandName
    user_id: Annotated[str, AfterValidator(_user)]


class CommandEnvelope(Wire):
    """The envelope of a command."""

    event_id: UUID
    correlation_id: UUID
    data: CommandHead
    metadata: dict[str, Any] | None = None


def parse_command(record: Record) -> Command:
    """Read a command; members that do not fit make it one that is refused, with a result.

    Raises ValidationFailedError where nobody could be told of a result. Its text names places,
    not values.
    """
    envelope = read(CommandEnvelope, record.value)
    head = envelope.data
    order, named = read_order(head.command, record.value or b"")
    trace = Trace(envelope.correlation_id, traceparent_of(record, envelope.metadata))
    return Command(envelope.event_id, head.command, Caller(head.user_id, trace), order, named)
