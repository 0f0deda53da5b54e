"""What the broker refuses is set aside with what comes behind it: what every store promises."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final
from uuid import UUID

import pytest

from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.models import ClassChange, Record
from rules.shards import SHARDS, shard_of
from store.protocols.outbox import Refusal
from store.protocols.set_aside import SetAsideCounts
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    Waiting,
    caller,
    first_of,
    make_class,
    put_aside,
    take,
    waiting_shards,
)

KEY: Final = b"key"
SHARD: Final = shard_of(KEY)
UPDATED: Final = "huleedu.class.updated.v1"
LARGE: Final = Refusal.TOO_LARGE


async def publish(
    stores: Stores, *messages: tuple[bytes | None, str], topic: str = "topic"
) -> None:
    """Publish messages of a key and a value, by the shortest way into the outbox."""
    letters = [
        DeadLetter(
            Record(topic, 0, number, int(new_id()) % 2**40, key, value.encode(), ()),
            Reason.INVALID,
            "",
        )
        for number, (key, value) in enumerate(messages)
    ]
    await stores.inbox.dead_letter(letters)


async def fetch(stores: Stores, shard: int = SHARD) -> list[Waiting]:
    return await first_of(stores.outbox, shard)


async def values(stores: Stores, shard: int = SHARD) -> list[str]:
    return [(row.message.value or b"").decode() for row in await fetch(stores, shard)]


async def set_aside(
    stores: Stores, refused: Mapping[str, Refusal | None], shard: int = SHARD
) -> list[int]:
    """Set messages of these values aside; return their numbers."""
    rows = {(row.message.value or b"").decode(): row for row in await fetch(stores, shard)}
    await put_aside(
        stores.outbox, shard, {rows[value].id: reason for value, reason in refused.items()}
    )
    return [rows[value].id for value in refused]


async def test_what_is_set_aside_has_left_the_outbox(stores: Stores) -> None:
    await publish(stores, (KEY, "a"), (KEY, "b"))
    assert await waiting_shards(stores.outbox) == [SHARD]
    await set_aside(stores, {"a": LARGE, "b": None})
    assert await waiting_shards(stores.outbox) == []
    assert await fetch(stores) == []
    assert await stores.set_aside.counts() == SetAsideCounts(refused=1, waiting=1)
    assert (await stores.maintenance.backlog()).outbox_depth == 0


async def test_rows_stay_in_the_outbox_when_the_lease_ends_with_an_error(stores: Stores) -> None:
    await publish(stores, (KEY, "a"))

    async def fail() -> None:
        async with stores.outbox.lease([SHARD], 1) as lease:
            [pack] = await lease.fetch()
            await lease.end([pack], {pack.id: LARGE})
            raise RuntimeError("broker")

    with pytest.raises(RuntimeError, match="broker"):
        await fail()
    assert await values(stores) == ["a"]
    assert await stores.set_aside.counts() == SetAsideCounts(0, 0)


async def test_later_messages_of_the_same_topic_and_key_are_held_and_no_others(
    stores: Stores,
) -> None:
    other = next(b"%d" % n for n in range(100) if shard_of(b"%d" % n) == SHARD)
    await publish(stores, (KEY, "a"))
    await set_aside(stores, {"a": LARGE})
    await publish(stores, (KEY, "b"), (other, "c"))
    await publish(stores, (KEY, "d"), topic="another")
    held = {(row.message.value or b"").decode(): row.held for row in await fetch(stores)}
    assert held == {"b": True, "c": False, "d": False}


async def test_nothing_waits_for_a_message_without_a_key(stores: Stores) -> None:
    shard = shard_of(None)
    await publish(stores, (None, "a"))
    await publish(stores, (b"", "b"))
    await set_aside(stores, {"a": LARGE}, shard)
    await publish(stores, (None, "c"))
    assert [row.held for row in await fetch(stores, shard)] == [False, False]
    await set_aside(stores, {"b": LARGE, "c": LARGE}, shard)
    await publish(stores, (b"", "d"))
    assert [row.held for row in await fetch(stores, shard)] == [True]
    assert [one.waiting for one in await stores.set_aside.refused()] == [0, 0, 0]


async def test_people_see_what_is_refused_and_how_many_wait(stores: Stores) -> None:
    teacher = caller()
    made = await make_class(stores, teacher)
    await stores.published()
    for name in ("first", "second", "third"):
        await stores.classes.update_class(teacher, made.id, ClassChange(name=name))
    shard = shard_of(str(made.id).encode())
    rows = await fetch(stores, shard)
    aside = {row.id: None for row in rows} | {rows[0].id: LARGE}
    await put_aside(stores.outbox, shard, aside)
    [shown] = await stores.set_aside.refused()
    message = rows[0].message
    assert (shown.number, shown.topic, shown.key) == (rows[0].id, UPDATED, str(made.id).encode())
    assert shown.event_id == UUID(dict(message.headers)["event_id"].decode())
    assert (shown.reason, shown.waiting) == (LARGE, 2)
    assert shown.size > len(message.value or b"") + 36
    await stores.elapse(A_DAY)
    [later] = await stores.set_aside.refused()
    assert await stores.maintenance.ping() - later.since >= A_DAY


async def test_message_without_an_event_id_has_its_number(stores: Stores) -> None:
    await publish(stores, (KEY, "a"))
    [number] = await set_aside(stores, {"a": Refusal.INVALID})
    [shown] = await stores.set_aside.refused()
    assert (shown.event_id, shown.number, shown.reason) == (None, number, Refusal.INVALID)


async def test_refused_message_goes_back_with_all_behind_it_in_order(stores: Stores) -> None:
    await publish(stores, (KEY, "a"), (KEY, "b"))
    [number, _] = await set_aside(stores, {"a": LARGE, "b": None})
    await publish(stores, (KEY, "c"))
    await set_aside(stores, {"c": None})
    await publish(stores, (KEY, "d"))
    assert await stores.set_aside.retry([number]) == [number]
    assert await values(stores) == ["a", "b", "c", "d"]
    assert not any(row.held for row in await fetch(stores))
    assert await stores.set_aside.counts() == SetAsideCounts(0, 0)
    assert [(row.message.value or b"").decode() for row in await take(stores.outbox, SHARD)] == [
        *"abcd"
    ]


async def test_dropped_message_is_gone_and_lets_the_rest_go(stores: Stores) -> None:
    await publish(stores, (KEY, "a"), (KEY, "b"), (KEY, "c"))
    [number, *_] = await set_aside(stores, {"a": LARGE, "b": None, "c": None})
    assert await stores.set_aside.drop([number]) == [number]
    assert await values(stores) == ["b", "c"]
    assert await stores.set_aside.refused() == []


async def test_a_decision_is_about_the_named_messages_alone(stores: Stores) -> None:
    keys = [b"%d" % n for n in range(6)]
    for key in keys:
        await publish(stores, (key, key.decode()))
    numbers = [await set_aside(stores, {key.decode(): LARGE}, shard_of(key)) for key in keys]
    [zero, one, two, *_] = [number for [number] in numbers]
    assert sorted(await stores.set_aside.retry([one, zero])) == sorted([zero, one])
    assert await stores.set_aside.drop([two]) == [two]
    back = [row.message.key for shard in range(SHARDS) for row in await fetch(stores, shard)]
    assert sorted(key for key in back if key) == keys[:2]
    assert {shown.key for shown in await stores.set_aside.refused()} == set(keys[3:])


async def test_what_is_not_there_is_not_decided_about(stores: Stores) -> None:
    await publish(stores, (KEY, "a"), (KEY, "b"))
    [number, behind] = await set_aside(stores, {"a": LARGE, "b": None})
    assert await stores.set_aside.retry([behind, 10**12]) == []
    assert await stores.set_aside.drop([behind, -1]) == []
    assert await stores.set_aside.retry([]) == []
    assert await stores.set_aside.counts() == SetAsideCounts(1, 1)
    assert await stores.set_aside.drop([number, number]) == [number]
    assert await stores.set_aside.retry([number]) == []


async def test_of_two_people_one_decides(stores: Stores) -> None:
    await publish(stores, (KEY, "a"), (KEY, "b"))
    [number, _] = await set_aside(stores, {"a": LARGE, "b": None})
    both = await asyncio.gather(stores.set_aside.retry([number]), stores.set_aside.drop([number]))
    assert sorted(both) == [[], [number]]
    assert (await values(stores))[-1] == "b"


async def test_a_decision_waits_for_the_relay_that_is_at_work(stores: Stores) -> None:
    # Else that relay, which has fetched a later message already, would send it first.
    await publish(stores, (KEY, "a"))
    [number] = await set_aside(stores, {"a": LARGE})
    await publish(stores, (KEY, "b"))
    async with stores.outbox.lease([SHARD], 1) as lease:
        decision = asyncio.create_task(stores.set_aside.retry([number]))
        await stores.blocked()
        assert not decision.done()
        [pack] = await lease.fetch()
        assert pack.held == {0}
        await lease.end([pack], {pack.id: None})
    assert await decision == [number]
    assert await values(stores) == ["a", "b"]


async def test_what_is_refused_again_while_a_decision_waits_is_not_taken_from_a_relay(
    stores: Stores,
) -> None:
    other = next(b"%d" % n for n in range(100) if shard_of(b"%d" % n) != SHARD)
    elsewhere = shard_of(other)
    await publish(stores, (KEY, "a"), (other, "b"))
    [first] = await set_aside(stores, {"a": LARGE})
    [again] = await set_aside(stores, {"b": LARGE}, elsewhere)
    await stores.set_aside.retry([again])  # by somebody else
    await publish(stores, (KEY, "c"))
    async with AsyncExitStack() as other_relay:
        async with stores.outbox.lease([SHARD], 1):
            decision = asyncio.create_task(stores.set_aside.retry([first, again]))
            await stores.blocked()
            await set_aside(stores, {"b": LARGE}, elsewhere)
            await publish(stores, (other, "d"))
            lease = await other_relay.enter_async_context(stores.outbox.lease([elsewhere], 1))
            [pack] = await lease.fetch()
            assert pack.held == {0}
        assert await decision == [first]
        await lease.end([pack], {pack.id: None})
    assert await values(stores) == ["a", "c"]
    assert [(one.number, one.waiting) for one in await stores.set_aside.refused()] == [(again, 1)]
    await stores.set_aside.retry([again])
    assert await values(stores, elsewhere) == ["b", "d"]


async def test_a_decision_wakes_the_relay(stores: Stores) -> None:
    await publish(stores, (KEY, "a"))
    [number] = await set_aside(stores, {"a": LARGE})
    await stores.outbox.wait(0.001)
    waiting = asyncio.create_task(stores.outbox.wait(3600))
    await asyncio.sleep(0)
    await stores.set_aside.retry([number])
    await waiting


@pytest.mark.parametrize("key", [b"\x00\xff", bytes(10_000), "Öberg".encode()])
async def test_any_key_and_content_come_back_as_they_were(stores: Stores, key: bytes) -> None:
    headers: Sequence[tuple[str, bytes]] = (("h", b"\x00\xff"), ("event_id", b"\xff"))
    record = Record("some.topic", 3, 7, 1, key, b"\x00\xff", tuple(headers))
    await stores.inbox.dead_letter([DeadLetter(record, Reason.UNREADABLE, "no JSON")])
    before = await fetch(stores, shard_of(key))
    await put_aside(stores.outbox, shard_of(key), {before[0].id: LARGE})
    [shown] = await stores.set_aside.refused()
    assert (shown.key, shown.event_id) == (key, None)
    await stores.set_aside.retry([shown.number])
    assert await fetch(stores, shard_of(key)) == before
