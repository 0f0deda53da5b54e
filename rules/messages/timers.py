"""Timer messages; rules.events.timers writes them."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, Field

from rules.errors import ValidationFailedError
from rules.instants import EARLIEST, LATEST
from rules.messages.envelopes import Wire, read
from rules.models import Record

Instant = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]


class Armed(Wire):
    """A batch has pending associations; `confirm_by` is the soonest."""

    event: Literal["armed"]
    batch_id: UUID
    class_id: UUID
    pending_count: Annotated[int, Field(ge=1, lt=2**32)]
    confirm_by: Instant
    armed_at: Instant


class Cleared(Wire):
    """Nothing of a batch is pending any more."""

    event: Literal["cleared"]
    batch_id: UUID


Timer: TypeAlias = Armed | Cleared


class TimerEnvelope(Wire):
    """The envelope of a timer message."""

    data: Annotated[Timer, Field(discriminator="event")]


def parse_timer(record: Record) -> Timer:
    """Read a timer message. Raises ValidationFailedError; its text names places, not values."""
    timer = read(TimerEnvelope, record.value).data
    # The key decides where Kafka puts a message, and so which worker has the timer.
    if record.key != str(timer.batch_id).encode():
        raise ValidationFailedError("the key is not /data/batch_id")
    return timer
