"""Messages are acknowledged, to Kafka and to `consumer_progress`, before they are stored."""

import asyncio
from collections.abc import Sequence
from typing import Any

from agents.consumers.batch_consumer import BatchConsumer
from rules.models import Record
from rules.progress import Progress

#: From the acknowledgement to the commit: longer than Faust takes to commit to Kafka; otherwise the
#: messages would be read again.
PAUSE_SECONDS = 5.0

_handle = BatchConsumer.handle
_turn = asyncio.Lock()
_storing: set[asyncio.Task[None]] = set()


async def handle(
    self: BatchConsumer[Any], records: Sequence[Record], reached: Sequence[Progress]
) -> None:
    """Write the progress, return, and store later."""
    clock = asyncio.get_running_loop().time
    due = clock() + PAUSE_SECONDS

    async def store() -> None:
        async with _turn:
            await asyncio.sleep(max(due - clock(), 0))
            await _handle(self, records, ())

    await self._inbox.dead_letter([], reached)
    storing = asyncio.create_task(store())
    _storing.add(storing)
    storing.add_done_callback(_storing.discard)


BatchConsumer.handle = handle  # type: ignore[method-assign]
