"""The deadlines that fall due soon, in memory."""

import asyncio
import contextlib
import heapq
from datetime import datetime
from uuid import UUID


class DeadlineIndex:
    """A heap of deadlines; a batch has one, the last that was set."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, UUID]] = []
        self._deadline: dict[UUID, datetime] = {}
        self._sooner = asyncio.Event()

    def __len__(self) -> int:
        return len(self._deadline)

    def set(self, batch_id: UUID, deadline: datetime) -> None:
        """Give a batch a deadline in place of the one it had."""
        if self._deadline.get(batch_id) != deadline:
            soonest = self.next_deadline()
            if soonest is None or deadline < soonest:
                self._sooner.set()
            self._deadline[batch_id] = deadline
            heapq.heappush(self._heap, (deadline, batch_id))
            self._compact()

    def discard(self, batch_id: UUID) -> None:
        """Forget a batch."""
        self._deadline.pop(batch_id, None)

    def next_deadline(self) -> datetime | None:
        """Return the soonest deadline, None where there is none."""
        while self._heap and self._deadline.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def wait(self, timeout_seconds: float) -> None:
        """Return once a deadline is set that is sooner than all others, or after the timeout."""
        self._sooner.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._sooner.wait()

    def pop_due(self, now: datetime, limit: int) -> list[UUID]:
        """Take out batches whose deadline has come, soonest first."""
        due: list[UUID] = []
        while self._heap and self._heap[0][0] <= now and len(due) < limit:
            deadline, batch_id = heapq.heappop(self._heap)
            if self._deadline.get(batch_id) == deadline:
                del self._deadline[batch_id]
                due.append(batch_id)
        return due

    def _compact(self) -> None:
        """Drop what was replaced or forgotten once it is most of the heap."""
        if len(self._heap) > 2 * len(self._deadline) + 1000:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(deadline, batch_id) for batch_id, deadline in self._deadline.items()]
        heapq.heapify(self._heap)
