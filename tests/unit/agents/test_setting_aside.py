"""A message that the broker refuses for good holds up its key, and nothing else."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from agents.jobs.relay import OutboxRelay
from agents.jobs.set_aside import SetAsideWatch
from rules.models import OutboxMessage, Policy
from rules.shards import shard_of
from store.memory.outbox import MemoryOutbox
from store.memory.set_aside import MemorySetAside
from store.memory.state import MemoryStore
from store.protocols.outbox import Refusal, Unsent
from store.protocols.set_aside import SetAsideCounts
from telemetry.metrics import Metrics

SECONDS: Final = 10
KEYS: Final = [
    b"a",
    b"b",
    next(b"%d" % n for n in range(99) if shard_of(b"%d" % n) == shard_of(b"a")),
]


class Broker:
    """Refuses some values, and says so as the publisher does."""

    def __init__(self) -> None:
        self.refused: set[bytes] = set()
        self.took: list[OutboxMessage] = []
        self.calls = 0

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        self.calls += 1
        await asyncio.sleep(0)
        held: set[tuple[str, bytes]] = set()
        unsent: dict[int, Refusal | None] = {}
        for position, message in enumerate(messages):
            if message.key is not None and (message.topic, message.key) in held:
                unsent[position] = None
            elif message.value in self.refused:
                unsent[position] = Refusal.TOO_LARGE
                held |= {(message.topic, message.key)} if message.key is not None else set()
            else:
                self.took.append(message)
        return Unsent(unsent)

    async def reachable(self) -> bool:
        return True

    async def close(self) -> None:
        """Hold nothing."""

    def values(self, key: bytes | None = None) -> list[bytes]:
        return [m.value or b"" for m in self.took if key is None or m.key == key]


class World:
    """A store, its relay and a broker."""

    def __init__(self) -> None:
        self.store = MemoryStore(Policy())
        self.outbox = MemoryOutbox(self.store)
        self.set_aside = MemorySetAside(self.store)
        self.broker = Broker()
        self.metrics = Metrics()
        self.pushed: list[OutboxMessage] = []

    def put(self, key: bytes | None, value: bytes, topic: str = "topic") -> None:
        self.store.publish([OutboxMessage(topic, key, value, ())])

    @asynccontextmanager
    async def relay(self) -> AsyncIterator[None]:
        """Have a relay at work, a new one each time, as after a restart."""
        relay = OutboxRelay(self.outbox, self.broker, self.pushed.extend, self.metrics)
        running = asyncio.create_task(relay.run())
        try:
            yield
            await self.drained()
        finally:
            running.cancel()

    async def drained(self) -> None:
        async with asyncio.timeout(SECONDS):
            while any(self.store.outbox) or self.store.leased:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def numbers(self) -> list[int]:
        return [one.number for one in await self.set_aside.refused()]


def value_of(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"class_management_{name}", labels)


async def test_the_rest_of_the_shard_goes_on_and_later_ones_of_the_key_wait() -> None:
    world = World()
    key, _, other = KEYS
    world.broker.refused = {b"2"}
    for value in (b"1", b"2", b"3"):
        world.put(key, value)
        world.put(other, b"of another key")
    async with world.relay():
        pass
    assert world.broker.values(key) == [b"1"]
    assert len(world.broker.values(other)) == 3
    assert await world.set_aside.counts() == SetAsideCounts(refused=1, waiting=1)
    # Also what is written later, and another worker relays; nothing is tried again and again.
    world.put(key, b"4")
    world.put(key, b"on another topic", "other")
    calls = world.broker.calls
    async with world.relay():
        pass
    assert world.broker.calls == calls + 1
    assert world.broker.values(key) == [b"1", b"on another topic"]
    assert await world.set_aside.counts() == SetAsideCounts(refused=1, waiting=2)
    # Real-time messages follow what Kafka has.
    assert world.pushed == world.broker.took


async def test_a_refusal_is_counted_and_told_to_the_health() -> None:
    world = World()
    registry = world.metrics.registry
    watch = SetAsideWatch(world.set_aside, world.metrics)
    assert value_of(registry, "outbox_refused_total", reason="too_large") == 0
    world.broker.refused = {b"1", b"3"}
    for key, value in ((b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (None, b"4")):
        world.put(key, value)
    async with world.relay():
        assert value_of(registry, "outbox_refused_total", reason="invalid_record") == 0
    assert value_of(registry, "outbox_refused_total", reason="too_large") == 2
    assert value_of(registry, "outbox_published_total") == 1
    assert watch.state() == "ok"
    looking = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    looking.cancel()
    assert watch.state() == (
        "messages set aside: 2 refused by the broker, 1 behind them: class-management outbox list"
    )
    assert value_of(registry, "outbox_set_aside_messages") == 3


async def test_a_retry_that_is_refused_again_keeps_the_order() -> None:
    world = World()
    world.broker.refused = {b"1"}
    for value in (b"1", b"2", b"3"):
        world.put(b"a", value)
    async with world.relay():
        await world.drained()
        assert await world.set_aside.retry(await world.numbers())
        await world.drained()
        assert world.broker.took == []
        world.broker.refused = {b"2"}
        await world.set_aside.retry(await world.numbers())
        await world.drained()
        assert world.broker.values() == [b"1"]
        await world.set_aside.drop(await world.numbers())
    assert world.broker.values() == [b"1", b"3"]
    assert await world.set_aside.counts() == SetAsideCounts(0, 0)


# --- for whatever happens ------------------------------------------------------------------------

put = st.tuples(
    st.just("put"), st.sampled_from([*KEYS, None]), st.sampled_from(["t", "u"]), st.booleans()
)
steps = st.lists(
    put | st.sampled_from([("restart",), ("retry",), ("drop",), ("mend",)]), max_size=40
)


@given(steps)
def test_every_message_that_is_not_dropped_is_published_in_the_order_of_its_key(
    taken: list[tuple[object, ...]],
) -> None:
    asyncio.run(play(taken))


async def play(taken: Sequence[tuple[object, ...]]) -> None:
    world = World()
    written: defaultdict[tuple[str, bytes | None], list[bytes]] = defaultdict(list)
    dropped: set[bytes] = set()
    for number, step in enumerate(taken):
        match step:
            case ("put", bytes() | None as key, str() as topic, bool() as refused):
                value = b"%d" % number
                world.put(key, value, topic)
                written[topic, key].append(value)
                world.broker.refused |= {value} if refused else set()
            case ("restart",):
                async with world.relay():
                    pass
            case ("retry",):
                await world.set_aside.retry(await world.numbers())
            case ("drop",):
                numbers = await world.numbers()
                dropped |= {world.store.set_aside[n].message.value or b"" for n in numbers}
                await world.set_aside.drop(numbers)
            case ("mend",):
                world.broker.refused = set()
    world.broker.refused = set()
    async with world.relay():
        await world.drained()
        await world.set_aside.retry(await world.numbers())
    for (topic, key), values in written.items():
        published = [m.value or b"" for m in world.broker.took if (m.topic, m.key) == (topic, key)]
        wanted = [value for value in values if value not in dropped]
        assert (published if key is not None else sorted(published)) == (
            wanted if key is not None else sorted(wanted)
        )
    assert await world.set_aside.counts() == SetAsideCounts(0, 0)
