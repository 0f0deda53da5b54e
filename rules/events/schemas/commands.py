"""The results of commands."""

from pydantic import Field

from rules.commands.orders import CommandName
from rules.commands.results import CommandStatus
from rules.events.schemas.base import Id, Instant, Published

_IN_THE_WAY = "The sender's own student that is in the way; null: none is."


class CommandFault(Published):
    """One fault of a command."""

    pointer: str = Field(description="A JSON Pointer (RFC 6901) into the command's `data`.")
    detail: str
    student_id: Id | None = Field(description=_IN_THE_WAY)


class CommandResultV1(Published):
    """What became of a command: each has one result."""

    command_id: Id = Field(description="The command's `event_id`.")
    command: CommandName
    status: CommandStatus
    error_code: str | None = Field(description="null where it was not rejected.")
    detail: str | None
    student_id: Id | None = Field(description=_IN_THE_WAY)
    class_id: Id | None = Field(
        description="The sender's own class that is in the way; null: none is."
    )
    errors: list[CommandFault] = Field(max_length=5_000)
    entity_ids: list[Id] = Field(
        description="What it was about; of a roster the students, one for each row in its order."
    )
    timestamp: Instant
