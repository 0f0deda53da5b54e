"""The next deadlines, in memory."""

import asyncio
import contextlib
import heapq
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID


class DeadlineIndex:
    """A heap of deadlines; a batch has one, the last that was set.

    A batch popped as due does not come back with the same deadline until it gets another one or is
    discarded: the table still shows it while its own change is in flight.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, UUID]] = []
        self._deadline: dict[UUID, datetime] = {}
        self._taken: dict[UUID, datetime] = {}
        self._earlier = asyncio.Event()
        self._seen: set[UUID] | None = None

    def __len__(self) -> int:
        return len(self._deadline)

    def set(self, batch_id: UUID, deadline: datetime) -> None:
        """Set a batch's deadline, replacing an earlier one."""
        if self._seen is not None:
            self._seen.add(batch_id)
        if deadline in (self._deadline.get(batch_id), self._taken.get(batch_id)):
            return
        self._taken.pop(batch_id, None)
        soonest = self.next_deadline()
        if soonest is None or deadline < soonest:
            self._earlier.set()
        self._deadline[batch_id] = deadline
        heapq.heappush(self._heap, (deadline, batch_id))
        self._compact()

    def discard(self, batch_id: UUID) -> None:
        """Forget a batch."""
        self._deadline.pop(batch_id, None)
        self._taken.pop(batch_id, None)

    def taken(self, batch_id: UUID, deadline: datetime) -> bool:
        """Return whether a batch was popped with this deadline, and nothing newer is known."""
        if self._taken.get(batch_id) != deadline:
            return False
        if self._seen is not None:
            self._seen.add(batch_id)
        return True

    def pop_due(self, now: datetime, limit: int) -> list[UUID]:
        """Pop the batches whose deadline has come, soonest first."""
        due: list[UUID] = []
        while self._heap and self._heap[0][0] <= now and len(due) < limit:
            deadline, batch_id = heapq.heappop(self._heap)
            if self._deadline.get(batch_id) == deadline:
                self._taken[batch_id] = self._deadline.pop(batch_id)
                due.append(batch_id)
        return due

    def next_deadline(self) -> datetime | None:
        """Return the earliest deadline, if any."""
        while self._heap and self._deadline.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def wait(self, timeout_seconds: float) -> None:
        """Return once a new earliest deadline is set, else after the timeout."""
        self._earlier.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._earlier.wait()

    def keep_soonest(self, count: int) -> datetime:
        """Keep only the `count` earliest deadlines; return the last of them."""
        soonest = sorted((at, batch_id) for batch_id, at in self._deadline.items())[:count]
        self._deadline = {batch_id: at for at, batch_id in soonest}
        self._rebuild()
        return soonest[-1][0]

    @contextlib.contextmanager
    def renewal(self) -> Iterator[None]:
        """Forget at the end of this context what was not set within it."""
        seen: set[UUID] = set()
        self._seen = seen
        try:
            yield
        finally:
            self._seen = None
        for known in (self._deadline, self._taken):
            for batch_id in known.keys() - seen:
                del known[batch_id]
        self._rebuild()

    def _compact(self) -> None:
        """Remove replaced and forgotten deadlines once they are most of the heap."""
        if len(self._heap) > 2 * len(self._deadline) + 1000:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(deadline, batch_id) for batch_id, deadline in self._deadline.items()]
        heapq.heapify(self._heap)
