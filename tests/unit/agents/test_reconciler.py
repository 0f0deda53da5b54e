"""Whatever table and database hold, what differs is found, counted once, and mended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.jobs import reconciler
from agents.jobs.reconciler import Reconciler
from agents.kafka.partitioner import partitioning
from rules.errors import StoreUnavailableError
from rules.models import BatchState, PendingBatch
from store.protocols.timers import TimerProtocol
from tables.codec import TimerEntry, id_of, key_of, pack, readable, unpack
from tables.pending import PendingTable, TablePage
from tables.scan import Row
from telemetry.metrics import Metrics

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONS: Final = 4
CLASS: Final = UUID(int=0)
partition_of: Final = partitioning(PARTITIONS).of

#: What one side says of a batch: how many are pending, and in which second they fall due.
Saying = tuple[int, int]
SAYINGS: Final = st.tuples(st.integers(1, 3), st.integers(0, 3))
SIDES: Final = st.dictionaries(st.uuids(), SAYINGS, max_size=40)


class FakeTable:
    """Holds entries of some of the partitions, as the real one gives them."""

    partition_of = staticmethod(partition_of)

    def __init__(self, entries: dict[UUID, Saying], owned: set[int]) -> None:
        self.generation = 1
        self._changed = asyncio.Event()
        self.owned = owned
        #: Rows beside the entries, by their partitions.
        self.strays: list[tuple[int, bytes, bytes]] = []
        self.entries = {
            key_of(i): pack(TimerEntry(i, CLASS, n, EPOCH + timedelta(seconds=at), EPOCH), 4)
            for i, (n, at) in entries.items()
            if partition_of(i) in owned
        }

    def partitions(self) -> list[int]:
        return sorted(self.owned)

    async def ready(self) -> None:
        """Be ready at once."""

    def notify_changed(self) -> None:
        self.generation += 1
        self._changed.set()

    async def changed(self, since: int, timeout_seconds: float) -> None:
        assert (since, timeout_seconds) > (0, 0)
        await self._changed.wait()
        self._changed.clear()

    async def rows(self) -> AsyncIterator[tuple[int, Sequence[Row]]]:
        for partition, key, value in list(self.strays):
            yield partition, [(key, value)]

    def belongs(self, key: bytes, value: bytes, partition: int) -> bool:
        return readable(key, value) and partition_of(id_of(key)) == partition

    def remove(self, partition: int, key: bytes) -> bool:
        before = len(self.strays)
        self.strays = [one for one in self.strays if one[:2] != (partition, key)]
        return len(self.strays) < before

    def get(self, batch_id: UUID, partition: int) -> TimerEntry | None:
        value = self.entries.get(key_of(batch_id)) if partition in self.owned else None
        return unpack(key_of(batch_id), value) if value else None

    def page(self, after: UUID | None, limit: int) -> TablePage:
        found: dict[bytes, bytes] = {}
        ends: list[bytes] = []
        for partition in self.owned:
            keys = [
                key
                for key in sorted(self.entries)
                if partition_of(id_of(key)) == partition and (after is None or key > key_of(after))
            ][:limit]
            found |= {key: self.entries[key] for key in keys}
            if len(keys) == limit:
                ends.append(keys[-1])
        return TablePage(found, min(ends, default=None))


class FakeAssociations:
    """Holds what is pending, and which timers were to be published again."""

    def __init__(self, pending: dict[UUID, Saying]) -> None:
        self.pending = pending
        self.rearmed: list[UUID] = []

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        ids = sorted(i for i in self.pending if after is None or i > after)[:limit]
        return [PendingBatch(i, CLASS, self.pending[i][0], self._due(i)) for i in ids]

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        there = [i for i in batch_ids if i in self.pending]
        return [BatchState(i, self.pending[i][0], self._due(i), None) for i in there]

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        self.rearmed += batch_ids

    def _due(self, batch_id: UUID) -> datetime:
        return EPOCH + timedelta(seconds=self.pending[batch_id][1])


class Drain:
    """Does what happens while the table takes in what was on its way."""

    def __init__(self, happen: Any = None) -> None:  # noqa: ANN401
        self._happen = happen

    async def drained(self) -> None:
        if self._happen:
            self._happen()


def built(table: FakeTable, associations: FakeAssociations, drain: Drain) -> Reconciler:
    return Reconciler(
        cast("PendingTable", table),
        cast("TimerProtocol", associations),
        Metrics(),
        drain.drained,
        3600.0,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    table=SIDES,
    database=SIDES,
    shared=SIDES,
    owned=st.sets(st.integers(0, PARTITIONS - 1)),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 10)),
    repair=st.booleans(),
)
async def test_the_drift_of_the_owned_partitions_is_found(
    monkeypatch: pytest.MonkeyPatch,
    table: dict[UUID, Saying],
    database: dict[UUID, Saying],
    shared: dict[UUID, Saying],
    owned: set[int],
    sizes: tuple[int, int, int],
    *,
    repair: bool,
) -> None:
    for name, size in zip(("PAGE", "ENTRIES", "DRIFT_AT_ONCE"), sizes, strict=True):
        monkeypatch.setattr(reconciler, name, size)
    monkeypatch.setattr(reconciler, "PAUSE_SHARE", 0.0)
    entries, pending = table | shared, database | shared
    own = {i for i in entries | pending if partition_of(i) in owned}
    missing = {i for i in own if i not in entries}
    stale = {i for i in own if i not in pending}
    different = {i for i in own - missing - stale if entries[i] != pending[i]}

    associations = FakeAssociations(pending)
    found = await built(FakeTable(entries, owned), associations, Drain()).reconcile(repair=repair)

    assert (found.missing, found.stale, found.different) == tuple(
        map(len, (missing, stale, different))
    )
    assert found.checked == len(own)
    drift = missing | stale | different
    assert sorted(associations.rearmed) == (sorted(drift) if repair else [])
    assert found.mended == len(associations.rearmed)
    assert set(found.examples) <= drift
    assert len(found.examples) == min(len(drift), reconciler.EXAMPLES)


@pytest.mark.parametrize("repair", [True, False])
async def test_rows_that_are_no_entries_go_where_it_may_mend(*, repair: bool) -> None:
    batch = UUID(int=7)
    here, elsewhere = partition_of(batch), (partition_of(batch) + 1) % PARTITIONS
    key, value = key_of(batch), pack(TimerEntry(batch, CLASS, 1, EPOCH, EPOCH), PARTITIONS)
    table = FakeTable({}, set(range(PARTITIONS)))
    strays = [(elsewhere, key, value), (here, key_of(CLASS), b""), (here, b"b", value)]
    table.strays = [*strays, (here, key, value)]
    working = built(table, FakeAssociations({}), Drain())
    await working.reconcile(repair=repair)
    assert table.strays == ([(here, key, value)] if repair else [*strays, (here, key, value)])
    assert working._metrics.strays._value.get() == (len(strays) if repair else 0)


async def test_what_was_only_on_its_way_does_not_count() -> None:
    batch = UUID(int=7)
    table = FakeTable({}, set(range(PARTITIONS)))
    associations = FakeAssociations({batch: (2, 1)})

    def arrive() -> None:
        table.entries = FakeTable({batch: (2, 1)}, table.owned).entries

    found = await built(table, associations, Drain(arrive)).reconcile()
    assert (found.missing, found.mended, associations.rearmed) == (0, 0, [])


def is_running(working: Reconciler) -> bool:
    return working.last is not None and working.last.running


async def test_what_is_asked_for_shows_as_running_until_it_is_done() -> None:
    working = built(FakeTable({}, set()), FakeAssociations({}), Drain())
    assert not is_running(working)
    working.request(repair=False)
    assert is_running(working)
    await working.reconcile(repair=False)
    assert is_running(working), "the one that was asked for has not run yet"


async def test_a_look_takes_the_place_of_no_mending(monkeypatch: pytest.MonkeyPatch) -> None:
    working = built(FakeTable({}, set()), FakeAssociations({}), Drain())
    runs: list[bool] = []

    async def reconcile(*, repair: bool = True) -> None:
        runs.append(repair)

    monkeypatch.setattr(working, "reconcile", reconcile)
    working.request(repair=False)  # while the table is not there yet
    running = asyncio.create_task(working.run())
    try:
        await happens(lambda: runs == [True])
        working.request(repair=False)
        await happens(lambda: runs == [True, False])
        working.request(repair=True)
        await happens(lambda: runs == [True, False, True])
        working._table.notify_changed()
        await happens(lambda: runs == [True, False, True, True])
    finally:
        running.cancel()


async def test_what_was_asked_for_is_not_forgotten_where_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working = built(FakeTable({}, set()), FakeAssociations({}), Drain())

    async def reconcile(*, repair: bool = True) -> None:
        raise StoreUnavailableError(str(repair))

    monkeypatch.setattr(working, "reconcile", reconcile)
    working.request(repair=False)
    asked = working.last
    with pytest.raises(StoreUnavailableError):
        await working.run()
    assert working.last == asked


async def happens(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110  # many things may make it so
            await asyncio.sleep(0.01)
