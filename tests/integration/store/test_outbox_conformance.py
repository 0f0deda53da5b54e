"""The outbox and the upkeep: what every store promises."""

import asyncio
from datetime import timedelta

import pytest

from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.models import ClassChange, OutboxMessage, Record
from rules.packs import FETCHED_BYTES, FETCHED_PACKS, LEASED_BYTES, MAX_BYTES
from rules.shards import SHARDS, shard_of
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    Waiting,
    caller,
    deliver,
    first_of,
    make_batch,
    make_class,
    make_classroom,
    result,
    store_one,
    take,
    waiting_in,
    waiting_shards,
)


async def fetch(stores: Stores, shard: int) -> list[Waiting]:
    return await first_of(stores.outbox, shard)


async def make_rows(stores: Stores, number: int = 4) -> tuple[int, list[Waiting]]:
    """Publish `number` messages of one class, each a pack; return their shard and them."""
    teacher = caller()
    made = await make_class(stores, teacher)
    await stores.published()
    for name in range(number):
        await stores.classes.update_class(teacher, made.id, ClassChange(name=str(name)))
    shard = shard_of(str(made.id).encode())
    return shard, await fetch(stores, shard)


async def letters(stores: Stores, *keyed_values: tuple[bytes | None, bytes]) -> None:
    """Publish messages of a key and a value in one statement."""
    records = [
        Record("topic", 0, number, int(new_id()) % 2**40, key, value, ())
        for number, (key, value) in enumerate(keyed_values)
    ]
    await stores.inbox.dead_letter([DeadLetter(r, Reason.INVALID, "") for r in records])


# --- shards ------------------------------------------------------------------------------------


def test_shard_of_a_key_is_the_same_for_ever() -> None:
    # Rows written by one version are published by another: these never change.
    assert SHARDS == 16
    known = {b"": 0, None: 0, b"teacher-1": 11, b"a": 3, "Öberg".encode(): 5}
    assert {key: shard_of(key) for key in known} == known


def test_keys_spread_over_all_shards() -> None:
    assert {shard_of(str(new_id()).encode()) for _ in range(2000)} == set(range(SHARDS))


async def test_rows_wait_in_the_shards_of_their_keys(stores: Stores) -> None:
    assert await waiting_shards(stores.outbox) == []
    teacher = caller()
    made = [await make_class(stores, teacher) for _ in range(5)]
    keys = [teacher.user_id, *(str(cls.id) for cls in made)]
    expected = sorted({shard_of(key.encode()) for key in keys})
    assert await waiting_shards(stores.outbox) == expected
    for shard in expected:
        rows = await take(stores.outbox, shard)
        assert {shard_of(row.message.key) for row in rows} == {shard}
    assert await waiting_shards(stores.outbox) == []


# --- packs -------------------------------------------------------------------------------------


async def test_what_one_statement_publishes_in_a_shard_is_one_pack(stores: Stores) -> None:
    key = b"key"
    await letters(stores, (key, b"1"), (key, b"2"), (key, b"3"))
    await letters(stores, (key, b"4"))
    async with stores.outbox.lease([shard_of(key)], 1) as lease:
        first, second = await lease.fetch()
    assert [m.value for m in first.messages] == [b"1", b"2", b"3"]
    assert [m.value for m in second.messages] == [b"4"]
    assert first.shard == second.shard == shard_of(key)
    assert second.id >= first.id + 3


async def test_many_messages_of_a_statement_are_several_packs_in_their_order(
    stores: Stores,
) -> None:
    values = [b"%d " % number * 400 for number in range(40)]
    await letters(stores, *((b"key", value) for value in values))
    async with stores.outbox.lease([shard_of(b"key")], 1) as lease:
        packs = await lease.fetch()
    assert len(packs) > 1
    assert [pack.id for pack in packs] == sorted(pack.id for pack in packs)
    assert [m.value for pack in packs for m in pack.messages] == values
    sizes = [sum(len(m.value or b"") for m in pack.messages) for pack in packs]
    assert max(sizes) <= MAX_BYTES


async def test_a_large_message_is_a_pack_by_itself(stores: Stores) -> None:
    await letters(stores, (b"key", b"a"), (b"key", bytes(MAX_BYTES + 1)), (b"key", b"b"))
    async with stores.outbox.lease([shard_of(b"key")], 1) as lease:
        packs = await lease.fetch()
    lengths = [[len(m.value or b"") for m in pack.messages] for pack in packs]
    assert lengths == [[1], [MAX_BYTES + 1], [1]]


async def test_a_shard_of_many_bytes_is_fetched_in_parts(stores: Stores) -> None:
    # What is fetched is in memory: of each shard as much, or one larger message.
    key = b"key"
    large = bytes(FETCHED_BYTES // 2 - 2_000)
    for number in range(4):
        await letters(stores, (key, b"%d" % number + large))
    await letters(stores, (key, b"4"))
    await letters(stores, (key, b"5" + 3 * large))
    fetched = []
    while rows := await take(stores.outbox, shard_of(key)):
        fetched.append([(row.message.value or b"")[:1] for row in rows])
    assert fetched == [[b"0", b"1"], [b"2", b"3", b"4"], [b"5"]]


async def test_a_shard_of_many_packs_is_fetched_in_parts(stores: Stores) -> None:
    for number in range(FETCHED_PACKS + 1):
        await letters(stores, (b"key", b"%d" % number))
    first = await take(stores.outbox, shard_of(b"key"))
    assert [row.message.value for row in first] == [b"%d" % n for n in range(FETCHED_PACKS)]
    [last] = await take(stores.outbox, shard_of(b"key"))
    assert last.message.value == b"%d" % FETCHED_PACKS


async def test_all_leased_shards_are_fetched_in_order(stores: Stores) -> None:
    keys = [b"%d" % number for number in range(50)]
    await letters(stores, *((key, key) for key in keys))
    await letters(stores, *((key, b"again") for key in keys))
    wanted = [*range(0, SHARDS, 2)]
    async with stores.outbox.lease(wanted, SHARDS) as lease:
        packs = await lease.fetch()
        assert sorted(lease.shards) == wanted
    places = [(pack.shard, pack.id) for pack in packs]
    assert places == sorted(places)
    assert {pack.shard for pack in packs} == set(wanted)
    for pack in packs:
        assert {shard_of(message.key) for message in pack.messages} == {pack.shard}


# --- leases ------------------------------------------------------------------------------------


async def test_rows_of_a_key_come_in_the_order_of_their_changes(stores: Stores) -> None:
    _, rows = await make_rows(stores, 10)
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    names = [(row.message.value or b"").split(b'"class_designation":"')[1][:1] for row in rows]
    assert names == [str(name).encode() for name in range(10)]


async def test_packs_that_are_done_are_gone_once_the_lease_ends(stores: Stores) -> None:
    shard, rows = await make_rows(stores, 4)
    async with stores.outbox.lease([shard], 1) as lease:
        packs = await lease.fetch()
        await lease.end(packs[:2], {})
        assert waiting_in(await lease.fetch()) == rows[2:]
        await lease.end(packs[2:3], {})
    assert await fetch(stores, shard) == rows[3:]


async def test_rows_stay_when_publishing_fails(stores: Stores) -> None:
    shard, rows = await make_rows(stores)

    async def publish() -> None:
        async with stores.outbox.lease([shard], 1) as lease:
            await lease.end(await lease.fetch(), {})
            raise RuntimeError("broker")

    with pytest.raises(RuntimeError, match="broker"):
        await publish()
    assert await fetch(stores, shard) == rows


async def test_rows_stay_when_publishing_is_cancelled(stores: Stores) -> None:
    shard, rows = await make_rows(stores)
    deleted = asyncio.Event()

    async def publish_for_ever() -> None:
        async with stores.outbox.lease([shard], 1) as lease:
            await lease.end(await lease.fetch(), {})
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
    others = [other for other in range(SHARDS) if other != shard]
    await letters(stores, *((b"%d" % number, b"") for number in range(100)))
    async with stores.outbox.lease([shard], 1) as first:
        assert first.shards == {shard}
        for _ in range(2):
            async with stores.outbox.lease([shard], 1) as second:
                assert second.shards == frozenset()
                assert await second.fetch() == []
        async with stores.outbox.lease(range(SHARDS), SHARDS) as rest:
            assert sorted(rest.shards) == others
            assert {pack.shard for pack in await rest.fetch()} == set(others)
        assert waiting_in(await first.fetch())[: len(rows)] == rows
    assert (await fetch(stores, shard))[: len(rows)] == rows


async def test_no_more_shards_are_leased_than_asked_for_and_the_first_first(
    stores: Stores,
) -> None:
    await letters(stores, *((b"%d" % number, b"") for number in range(100)))
    async with stores.outbox.lease([9, 8, 3, 2], 2) as first:
        assert first.shards == {9, 8}
        async with stores.outbox.lease([8, 9, 2, 3], 3) as second:
            assert second.shards == {2, 3}
        async with stores.outbox.lease(range(SHARDS), 0) as none:
            assert none.shards == frozenset()


async def test_no_more_shards_are_leased_than_fit_into_memory(stores: Stores) -> None:
    keys = {shard_of(key): key for key in (b"%d" % number for number in range(100))}
    large = bytes(LEASED_BYTES // 3)
    await letters(stores, *((keys[shard], large) for shard in range(4)))
    await letters(stores, (keys[4], b"small"))
    async with stores.outbox.lease([3, 0, 2, 4, 1], SHARDS) as lease:
        assert lease.shards == {3, 0, 2}
        assert len(await lease.fetch()) == 3
    async with stores.outbox.lease([4, 1], SHARDS) as lease:
        assert lease.shards == {4, 1}


async def test_shards_in_which_nothing_waits_are_left_to_others(stores: Stores) -> None:
    shard, _ = await make_rows(stores)
    async with stores.outbox.lease(range(SHARDS), SHARDS) as first:
        assert first.shards == {shard}
        other = next(b"%d" % n for n in range(100) if shard_of(b"%d" % n) != shard)
        await letters(stores, (other, b""))
        async with stores.outbox.lease(range(SHARDS), SHARDS) as second:
            assert second.shards == {shard_of(other)}


async def test_row_written_during_a_lease_is_kept(stores: Stores) -> None:
    teacher = caller()
    made = await make_class(stores, teacher)
    await stores.published()
    await stores.classes.update_class(teacher, made.id, ClassChange(name="before"))
    shard = shard_of(str(made.id).encode())
    async with stores.outbox.lease([shard], 1) as lease:
        packs = await lease.fetch()
        await stores.classes.update_class(teacher, made.id, ClassChange(name="meanwhile"))
        await lease.end(packs, {})
    [left] = await fetch(stores, shard)
    assert b"meanwhile" in (left.message.value or b"")
    assert left.id > packs[-1].id


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
    assert await waiting_shards(stores.outbox) == []


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
