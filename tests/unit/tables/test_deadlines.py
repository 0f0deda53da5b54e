"""The deadlines in memory, beside a model that is a dictionary."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tables.deadlines import DeadlineIndex

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BATCHES = st.integers(0, 9).map(lambda number: UUID(int=number))
TIMES = st.integers(0, 50).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


class Deadlines(RuleBasedStateMachine):
    """Whatever is done to the index is done to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.index = DeadlineIndex()
        self.model: dict[UUID, datetime] = {}
        self.taken: dict[UUID, datetime] = {}

    @rule(batch=BATCHES, at=TIMES)
    def set(self, batch: UUID, at: datetime) -> None:
        self.index.set(batch, at)
        if self.taken.get(batch) != at:
            self.taken.pop(batch, None)
            self.model[batch] = at

    @rule(batch=BATCHES)
    def discard(self, batch: UUID) -> None:
        self.index.discard(batch)
        self.model.pop(batch, None)
        self.taken.pop(batch, None)

    @rule(now=TIMES, limit=st.integers(1, 5))
    def pop_due(self, now: datetime, limit: int) -> None:
        due = sorted((at, batch) for batch, at in self.model.items() if at <= now)[:limit]
        assert self.index.pop_due(now, limit) == [batch for _, batch in due]
        for at, batch in due:
            self.taken[batch] = at
            del self.model[batch]

    @rule(batches=st.lists(st.tuples(BATCHES, TIMES)))
    def renew(self, batches: list[tuple[UUID, datetime]]) -> None:
        with self.index.renewal():
            for batch, at in batches:
                self.set(batch, at)
        seen = {batch for batch, _ in batches}
        self.model = {batch: at for batch, at in self.model.items() if batch in seen}
        self.taken = {batch: at for batch, at in self.taken.items() if batch in seen}

    @rule(count=st.integers(1, 5))
    def keep_soonest(self, count: int) -> None:
        if not self.model:
            return
        kept = sorted((at, batch) for batch, at in self.model.items())[:count]
        assert self.index.keep_soonest(count) == kept[-1][0]
        self.model = {batch: at for at, batch in kept}

    @invariant()
    def alike(self) -> None:
        assert len(self.index) == len(self.model)
        assert self.index.next_deadline() == min(self.model.values(), default=None)


TestDeadlines = Deadlines.TestCase


async def test_an_earlier_deadline_wakes_who_waits() -> None:
    index = DeadlineIndex()
    index.set(UUID(int=1), EPOCH + timedelta(seconds=9))
    waiting = asyncio.create_task(index.wait(60))
    await asyncio.sleep(0)
    index.set(UUID(int=2), EPOCH + timedelta(seconds=10))
    await asyncio.sleep(0)
    assert not waiting.done()
    index.set(UUID(int=3), EPOCH)
    await asyncio.wait_for(waiting, 60)


async def test_waiting_ends_by_itself() -> None:
    await DeadlineIndex().wait(0.001)
