"""One shard that cannot be published holds up itself and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from agents.jobs.relay import POLL_SECONDS, OutboxRelay
from rules.errors import StoreUnavailableError
from rules.models import OutboxMessage, Policy
from rules.shards import shard_of
from store.memory.outbox import MemoryLease, MemoryOutbox
from store.memory.state import MemoryStore
from store.protocols.outbox import PublishError, Unsent
from telemetry.metrics import Metrics

REFUSED = b"refused"
OTHERS = [key for key in (b"%d" % n for n in range(100)) if shard_of(key) != shard_of(REFUSED)]
SECONDS = 10


class Broker:
    """Refuses one key for as long as it is told to."""

    def __init__(self) -> None:
        self.refuses = True
        self.took: list[OutboxMessage] = []

    async def publish(self, messages: Sequence[OutboxMessage], lane: int = 0) -> Unsent:
        assert {shard_of(message.key) for message in messages} == {lane}
        if self.refuses and any(message.key == REFUSED for message in messages):
            raise PublishError
        self.took += messages
        return {}

    async def reachable(self) -> bool:
        return True

    async def close(self) -> None:
        """Hold nothing."""


class Hanging(Broker):
    """Takes nothing and refuses nothing."""

    async def publish(self, _messages: Sequence[OutboxMessage], _lane: int = 0) -> Unsent:
        await asyncio.Event().wait()
        return {}


def message(key: bytes, value: bytes = b"") -> OutboxMessage:
    return OutboxMessage("topic", key, value, ())


async def took(broker: Broker, count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(broker.took) < count:  # noqa: ASYNC110  # an event would have to count, too
            await asyncio.sleep(0.01)


async def test_others_go_on_and_the_refused_follow_in_order_once_they_are_taken() -> None:
    store = MemoryStore(Policy())
    broker = Broker()
    told: list[OutboxMessage] = []
    relay = asyncio.create_task(
        OutboxRelay(MemoryOutbox(store), broker, told.extend, Metrics()).run()
    )
    try:
        store.publish([message(REFUSED, b"1"), message(REFUSED, b"2")])
        for key in OTHERS:
            store.publish([message(key)])
            await asyncio.sleep(0)
        await took(broker, len(OTHERS))
        assert {m.key for m in broker.took} == set(OTHERS)

        broker.refuses = False
        await took(broker, len(OTHERS) + 2)
        assert [m.value for m in broker.took if m.key == REFUSED] == [b"1", b"2"]
        assert not await MemoryOutbox(store).waiting_shards()
        assert told == broker.took
    finally:
        relay.cancel()


class Narrow(MemoryOutbox):
    """Has connections for two leases."""

    most_leases = 2


async def test_no_more_shards_are_leased_than_the_outbox_allows() -> None:
    store = MemoryStore(Policy())
    relay = OutboxRelay(Narrow(store), Hanging(), lambda _: None, Metrics())
    store.publish([message(key) for key in OTHERS])
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0.1)
    assert len(store.leased) == Narrow.most_leases
    running.cancel()


class Failing(MemoryOutbox):
    """Has a database that goes away for all shards but one."""

    @asynccontextmanager
    async def lease(self, shard: int) -> AsyncIterator[MemoryLease | None]:
        if shard != shard_of(REFUSED):
            raise StoreUnavailableError
        async with super().lease(shard) as lease:
            yield lease


@pytest.mark.parametrize("outbox", [MemoryOutbox, Failing])
async def test_a_shard_that_hangs_shows_whatever_the_others_meet(
    outbox: type[MemoryOutbox],
) -> None:
    store = MemoryStore(Policy())
    relay = OutboxRelay(outbox(store), Hanging(), lambda _: None, Metrics())
    store.publish([message(REFUSED), message(OTHERS[0])])
    running = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(SECONDS):
            while relay.stalled_seconds() < 2 * POLL_SECONDS:  # noqa: ASYNC110  # of a clock
                await asyncio.sleep(0.1)
        assert not running.done()
    finally:
        running.cancel()


class HangingLater(Broker):
    """Refuses a key at first, and then takes no message of it and refuses none."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = asyncio.Event()

    async def publish(self, messages: Sequence[OutboxMessage], lane: int = 0) -> Unsent:
        if any(message.key == REFUSED for message in messages):
            if self.hangs.is_set():
                await asyncio.Event().wait()
            self.hangs.set()
        return await super().publish(messages, lane)


async def test_a_shard_that_hangs_again_holds_up_no_other_and_still_shows() -> None:
    store = MemoryStore(Policy())
    broker = HangingLater()
    relay = OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())
    store.publish([message(REFUSED)])
    running = asyncio.create_task(relay.run())
    try:
        await asyncio.wait_for(broker.hangs.wait(), SECONDS)
        async with asyncio.timeout(SECONDS):
            number = 0
            while relay.stalled_seconds() < 2 * POLL_SECONDS:
                store.publish([message(OTHERS[number % len(OTHERS)])])
                number += 1
                await asyncio.sleep(0.1)
        await took(broker, number)
        assert not running.done()
    finally:
        running.cancel()
    await asyncio.wait([running])
    assert not store.leased


class GoneLater(MemoryOutbox):
    """Has a database that goes away once a shard has failed."""

    leases = 0

    @asynccontextmanager
    async def lease(self, shard: int) -> AsyncIterator[MemoryLease | None]:
        self.leases += 1
        if self.leases > 1:
            raise StoreUnavailableError
        async with super().lease(shard) as lease:
            yield lease


async def test_what_a_retry_meets_ends_the_relay_as_what_others_meet() -> None:
    store = MemoryStore(Policy())
    relay = OutboxRelay(GoneLater(store), Broker(), lambda _: None, Metrics())
    store.publish([message(REFUSED)])
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(relay.run(), SECONDS)
