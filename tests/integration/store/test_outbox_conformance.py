"""The outbox and the upkeep: what every store promises."""

import asyncio
from datetime import timedelta

import pytest

from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.models import ClassChange, OutboxMessage, Record
from rules.shards import SHARDS, shard_of
from store.protocols.outbox import OutboxRow
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    caller,
    deliver,
    make_batch,
    make_class,
    make_classroom,
    result,
    store_one,
    take,
)


async def fetch(stores: Stores, shard: int, limit: int = 100) -> list[OutboxRow]:
    async with stores.outbox.lease(shard) as lease:
        assert lease is not None
        return await lease.fetch(limit)


async def make_rows(stores: Stores, number: int = 4) -> tuple[int, list[OutboxRow]]:
    """Publish `number` rows of one class; return their shard and the rows."""
    teacher = caller()
    made = await make_class(stores, teacher)
    await stores.published()
    for name in range(number):
        await stores.classes.update_class(teacher, made.id, ClassChange(name=str(name)))
    shard = shard_of(str(made.id).encode())
    return shard, await fetch(stores, shard)


# --- shards ------------------------------------------------------------------------------------


def test_shard_of_a_key_is_the_same_for_ever() -> None:
    # Rows written by one version are published by another: these never change.
    assert SHARDS == 16
    known = {b"": 0, None: 0, b"teacher-1": 11, b"a": 3, "Öberg".encode(): 5}
    assert {key: shard_of(key) for key in known} == known


def test_keys_spread_over_all_shards() -> None:
    assert {shard_of(str(new_id()).encode()) for _ in range(2000)} == set(range(SHARDS))


async def test_rows_wait_in_the_shards_of_their_keys(stores: Stores) -> None:
    assert await stores.outbox.waiting_shards() == []
    teacher = caller()
    made = [await make_class(stores, teacher) for _ in range(5)]
    keys = [teacher.user_id, *(str(cls.id) for cls in made)]
    expected = sorted({shard_of(key.encode()) for key in keys})
    assert sorted(await stores.outbox.waiting_shards()) == expected
    for shard in expected:
        rows = await take(stores.outbox, shard)
        assert {shard_of(row.message.key) for row in rows} == {shard}
    assert await stores.outbox.waiting_shards() == []


# --- leases ------------------------------------------------------------------------------------


async def test_rows_of_a_key_come_in_the_order_of_their_changes(stores: Stores) -> None:
    _, rows = await make_rows(stores, 10)
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    names = [(row.message.value or b"").split(b'"class_designation":"')[1][:1] for row in rows]
    assert names == [str(name).encode() for name in range(10)]


async def test_fetch_takes_the_first_rows(stores: Stores) -> None:
    shard, rows = await make_rows(stores, 5)
    assert await fetch(stores, shard, 2) == rows[:2]
    assert await fetch(stores, shard) == rows


async def test_rows_that_were_deleted_are_gone_once_the_lease_ends(stores: Stores) -> None:
    shard, rows = await make_rows(stores, 4)
    async with stores.outbox.lease(shard) as lease:
        assert lease is not None
        await lease.delete([row.id for row in rows[:2]])
        assert await lease.fetch(100) == rows[2:]
        await lease.delete([rows[2].id])
    assert await fetch(stores, shard) == rows[3:]


async def test_rows_stay_when_publishing_fails(stores: Stores) -> None:
    shard, rows = await make_rows(stores)

    async def publish() -> None:
        async with stores.outbox.lease(shard) as lease:
            assert lease is not None
            await lease.delete([row.id for row in rows])
            raise RuntimeError("broker")

    with pytest.raises(RuntimeError, match="broker"):
        await publish()
    assert await fetch(stores, shard) == rows


async def test_rows_stay_when_publishing_is_cancelled(stores: Stores) -> None:
    shard, rows = await make_rows(stores)
    deleted = asyncio.Event()

    async def publish_for_ever() -> None:
        async with stores.outbox.lease(shard) as lease:
            assert lease is not None
            await lease.delete([row.id for row in rows])
            deleted.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(publish_for_ever())
    await deleted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await fetch(stores, shard) == rows


async def test_shard_is_leased_to_one_worker(stores: Stores) -> None:
    shard, rows = await make_rows(stores)
    async with stores.outbox.lease(shard) as first:
        assert first is not None
        async with stores.outbox.lease(shard) as second:
            assert second is None
        async with stores.outbox.lease((shard + 1) % SHARDS) as other:
            assert other is not None
        async with stores.outbox.lease(shard) as third:
            assert third is None
        assert await first.fetch(100) == rows
    assert await fetch(stores, shard) == rows


async def test_row_written_during_a_lease_is_kept(stores: Stores) -> None:
    teacher = caller()
    made = await make_class(stores, teacher)
    await stores.published()
    await stores.classes.update_class(teacher, made.id, ClassChange(name="before"))
    shard = shard_of(str(made.id).encode())
    async with stores.outbox.lease(shard) as lease:
        assert lease is not None
        rows = await lease.fetch(100)
        await stores.classes.update_class(teacher, made.id, ClassChange(name="meanwhile"))
        await lease.delete([row.id for row in rows])
    [left] = await fetch(stores, shard)
    assert b"meanwhile" in (left.message.value or b"")
    assert left.id > rows[-1].id


async def test_rows_are_the_same_each_time_they_are_fetched(stores: Stores) -> None:
    shard, rows = await make_rows(stores)
    assert await fetch(stores, shard) == rows
    assert len({dict(row.message.headers)["event_id"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (None, None, ()),
        (b"", b"", (("", b""),)),
        (b"\xff\x00", b"\x00\xff", (("h", b"\x00\xff"), ("h", b"again"), ("ö", "ö".encode()))),
    ],
)
async def test_bytes_leave_as_they_came(
    stores: Stores, key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    record = Record("some.topic", 3, 2**40, 1_700_000_000_000, key, value, headers)
    await stores.inbox.dead_letter([DeadLetter(record, Reason.UNREADABLE, "no JSON")])
    [published] = await stores.published()
    assert isinstance(published.message, OutboxMessage)
    assert (published.message.key, published.message.value) == (key, value)
    assert published.message.headers[: len(headers)] == headers
    assert published.topic == "some.topic.dlt"
    assert dict(published.message.headers)["dlt-offset"] == str(2**40).encode()


# --- waking up ---------------------------------------------------------------------------------


async def test_relay_wakes_up_for_a_change(stores: Stores) -> None:
    # The hour is never waited for: were nobody woken, the test would time out.
    waiting = asyncio.create_task(stores.outbox.wait(3600))
    await asyncio.sleep(0)
    await make_class(stores, caller())
    await waiting


async def test_change_before_the_wait_is_not_missed(stores: Stores) -> None:
    await make_class(stores, caller())
    await stores.outbox.wait(3600)


async def test_relay_looks_again_without_a_change(stores: Stores) -> None:
    await stores.outbox.wait(0.001)
    assert await stores.outbox.waiting_shards() == []


# --- upkeep ------------------------------------------------------------------------------------


async def test_clock_tells_an_instant_and_goes_on(stores: Stores) -> None:
    first = await stores.maintenance.ping()
    assert first.utcoffset() == timedelta(0)
    assert await stores.maintenance.ping() >= first


async def test_backlog_counts_what_waits(stores: Stores) -> None:
    empty = await stores.maintenance.backlog()
    assert (empty.outbox_depth, empty.outbox_age_seconds) == (0, 0)
    assert (empty.pending_associations, empty.parked_messages) == (0, 0)
    await make_batch(stores, 0.9, None)
    await store_one(stores, deliver(new_id(), result()))
    await make_class(stores, caller())
    await stores.elapse(A_DAY)
    backlog = await stores.maintenance.backlog()
    assert backlog.outbox_depth == 2
    assert backlog.outbox_age_seconds >= A_DAY.total_seconds()
    assert (backlog.pending_associations, backlog.parked_messages) == (2, 1)


async def test_inbox_of_nothing_is_purged_of_nothing(stores: Stores) -> None:
    await make_classroom(stores)
    assert await stores.maintenance.purge_inbox(0) == 0
