"""Timer messages; rules.events.timers writes them."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from rules.messages.envelopes import Wire, read
from rules.models import Record

#: The timer table counts from 1970.
Instant = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC))]


class TimerData(Wire):
    """`armed` or `cleared`."""

    event: Literal["armed", "cleared"]
    batch_id: UUID
    class_id: UUID | None = None
    pending_count: Annotated[int, Field(ge=0, lt=2**32)] = 0
    confirm_by: Instant | None = None
    armed_at: Instant | None = None


class TimerEnvelope(Wire):
    """The envelope of a timer message."""

    data: TimerData


def parse_timer(record: Record) -> TimerData:
    """Read a timer message. Raises ValidationFailedError; its text names places, not values."""
    return read(TimerEnvelope, record.value).data
