"""The store in numbers: what every store promises."""

from collections import Counter
from datetime import timedelta

import pytest

from rules.ids import new_id
from rules.shards import SHARDS, shard_of
from rules.suggestions import Outcome
from store.protocols.outbox import Refusal
from store.protocols.overview import GRACE, Queue
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    Stores,
    caller,
    deliver,
    first_of,
    make_batch,
    make_class,
    put_aside,
    result,
    store_one,
)

HOUR = timedelta(hours=1)


async def test_of_nothing_there_is_nothing(stores: Stores) -> None:
    found = await stores.overview.overview()
    assert (found.outbox, found.parked, list(found.due)) == ({}, Queue(), [])
    assert (found.refused, found.behind, found.open_batches) == (0, 0, 0)
    assert (found.overdue_batches, found.overdue_essays) == (0, 0)
    assert found.now.utcoffset() == timedelta(0)


async def test_the_outbox_is_counted_by_shard_with_its_oldest(stores: Stores) -> None:
    users = {shard_of(f"t{n}".encode()): caller(f"t{n}") for n in range(8 * SHARDS)}
    early, *others = users.values()
    await make_class(stores, early)
    await stores.elapse(SOON)
    for teacher in (early, *others):
        await make_class(stores, teacher)
    found = await stores.overview.overview()
    assert list(found.outbox) == sorted(found.outbox)
    waiting: Counter[int] = Counter()
    async with stores.outbox.lease(range(SHARDS), SHARDS) as lease:
        for pack in await lease.fetch():
            waiting[pack.shard] += len(pack.messages)
    assert {shard: queue.waiting for shard, queue in found.outbox.items()} == waiting
    ages = [found.now - queue.since for queue in found.outbox.values() if queue.since]
    assert len(ages) == len(waiting)
    assert max(ages) >= SOON > min(ages)


async def test_of_a_long_queue_no_more_is_counted(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("memory", "postgres"):
        monkeypatch.setattr(f"store.{module}.overview.MOST_COUNTED", 2)
        monkeypatch.setattr(f"store.{module}.overview.MOST_PACKS", 2)
    teacher = caller()
    for _ in range(3):
        await make_class(stores, teacher)
        await store_one(stores, deliver(new_id(), result()))
    found = await stores.overview.overview()
    shard = shard_of(teacher.user_id.encode())  # in which each class has a notification
    longest = found.outbox[shard]
    assert longest.is_more
    assert 2 <= longest.waiting < len(await first_of(stores.outbox, shard))
    assert (found.parked.waiting, found.parked.is_more) == (2, True)


async def test_what_is_set_aside_is_no_longer_in_the_outbox(stores: Stores) -> None:
    teacher = caller()
    for _ in range(2):
        await make_class(stores, teacher)
    before = await stores.overview.overview()
    shard = next(shard for shard, queue in before.outbox.items() if queue.waiting >= 2)
    first, second = (await first_of(stores.outbox, shard))[:2]
    aside = {first.id: Refusal.TOO_LARGE, second.id: None}
    await put_aside(stores.outbox, shard, aside)
    found = await stores.overview.overview()
    assert (found.refused, found.behind) == (1, 1)
    left = await first_of(stores.outbox, shard)
    assert not {first.id, second.id} & {one.id for one in left}
    assert found.outbox.get(shard, Queue()).waiting == len(left)


async def test_what_waits_for_its_class_does_so_since_it_came(stores: Stores) -> None:
    await store_one(stores, deliver(new_id(), result()))
    await stores.elapse(timedelta(seconds=20))
    assert await store_one(stores, deliver(new_id(), result())) is Outcome.PARKED
    found = await stores.overview.overview()
    assert (found.parked.waiting, found.parked.is_more) == (2, False)
    assert found.parked.since is not None
    assert timedelta(seconds=20) <= found.now - found.parked.since < timedelta(seconds=50)


async def test_what_falls_due_is_counted_by_hour(stores: Stores) -> None:
    early = await make_batch(stores, None, None)
    await stores.elapse(3 * HOUR)
    await make_batch(stores, None, None, None, room=early.room)
    found = await stores.overview.overview()
    assert found.open_batches == 2
    first, last = found.due
    assert [(one.batches, one.essays) for one in found.due] == [(1, 2), (1, 3)]
    assert last.hour - first.hour == 3 * HOUR
    assert first.hour == first.hour.replace(minute=0, second=0, microsecond=0)
    assert first.hour <= found.now + A_DAY - 3 * HOUR < first.hour + HOUR
    assert (found.overdue_batches, found.overdue_essays) == (0, 0)


async def test_what_the_clock_should_have_decided_is_overdue(stores: Stores) -> None:
    early = await make_batch(stores, None, None)
    await stores.elapse(A_DAY)
    [now_due] = (await stores.overview.overview()).due
    assert now_due.essays == 2
    await stores.elapse(GRACE)
    await make_batch(stores, None, room=early.room)
    found = await stores.overview.overview()
    assert (found.overdue_batches, found.overdue_essays) == (1, 2)
    assert [one.essays for one in found.due] == [1]
    await stores.timers.decide_due([early.id])
    found = await stores.overview.overview()
    assert (found.overdue_essays, found.open_batches) == (0, 1)


async def test_two_messages_of_a_batch_are_one_batch_in_an_hour(stores: Stores) -> None:
    batch = await make_batch(stores, None)
    more = deliver(batch.room.id, result(), batch_id=batch.id)
    assert await store_one(stores, more) is Outcome.STORED
    found = (await stores.overview.overview()).due  # two hours, if one ended in between
    assert {one.batches for one in found} == {1}
    assert sum(one.essays for one in found) == 2
