"""Pending batches are stored without a timer."""

from collections.abc import Sequence

from rules import topics
from rules.models import OutboxMessage
from store.postgres import outbox
from store.postgres.database import Connection

_put = outbox.put


async def put(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Drop the messages for the timers."""
    await _put(connection, [m for m in messages if m.topic != topics.TIMERS])


outbox.put = put
