"""Whatever fails, hangs, is refused or dies: each key's messages arrive, in their order."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final, TypeAlias
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.jobs import relay as relay_module
from agents.jobs.relay import OutboxRelay
from rules.models import OutboxMessage, Policy
from store.memory.outbox import MemoryOutbox
from store.memory.set_aside import MemorySetAside
from store.memory.state import MemoryStore
from store.protocols.outbox import NotArrivedError, Refusal, Unsent
from telemetry.metrics import Metrics
from tests.support.profiles import by_profile

SECONDS: Final = 20
#: Nothing is read from them, and to make them takes as long as a relay's work here.
METRICS: Final = Metrics()
KEYS: Final = [b"%d" % n for n in range(6)]
TOPICS: Final = ["t", "u"]
PARTITIONS: Final = 2

#: Long enough that a relay has to look again by itself, and short enough for a test.
PAUSE: Final = 0.001

Statement: TypeAlias = list[tuple[str, bytes | None, bool]]

#: Messages of some keys, with whether the broker refuses each for now.
statements: Final = st.lists(
    st.tuples(
        st.sampled_from(TOPICS),
        st.sampled_from([*KEYS, None]),
        st.integers(0, 9).map(lambda fate: fate == 0),
    ),
    min_size=1,
    max_size=12,
)


class Place:
    """A partition of the broker, and what is on its way to it, given up."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.on_its_way: list[OutboxMessage] = []


class Broker:
    """Fails as publishers do, for so many calls; keeps all that arrives."""

    def __init__(self, random: Random, bad_calls: int) -> None:
        self.random = random
        self.bad_calls = bad_calls
        self.refused: set[bytes] = set()
        self.log: list[OutboxMessage] = []
        self.places: defaultdict[tuple[str, int], Place] = defaultdict(Place)

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        self.bad_calls -= 1
        by_place: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for position, message in enumerate(messages):
            place = message.topic, int(message.key or b"0") % PARTITIONS
            by_place[place].append(position)
        refused: dict[int, Refusal | None] = {}
        failed: dict[int, BaseException] = {}
        await asyncio.gather(
            *(
                self._send(place, messages, positions, refused, failed)
                for place, positions in by_place.items()
            )
        )
        return Unsent(refused, failed)

    async def _send(
        self,
        name: tuple[str, int],
        messages: Sequence[OutboxMessage],
        positions: Sequence[int],
        refused: dict[int, Refusal | None],
        failed: dict[int, BaseException],
    ) -> None:
        place = self.places[name]
        async with place.turn:
            await self._pass_time()
            if place.on_its_way and self._strikes(0.5):
                failed |= dict.fromkeys(positions, NotArrivedError(*name))
                return
            # Some of it arrives late, some never.
            self.log += place.on_its_way[: self.random.randrange(len(place.on_its_way) + 1)]
            place.on_its_way = []
            held: set[bytes] = set()
            for number, position in enumerate(positions):
                message = messages[position]
                if self._strikes(0.1):
                    rest = positions[number:]
                    failed |= dict.fromkeys(rest, NotArrivedError(*name))
                    place.on_its_way = [messages[p] for p in rest if messages[p].key not in held]
                    refusals = [m.value in self.refused for m in place.on_its_way]
                    if any(refusals):
                        place.on_its_way = place.on_its_way[: refusals.index(True)]
                    return
                if message.key in held:
                    refused[position] = None
                elif message.value in self.refused:
                    refused[position] = Refusal.INVALID
                    held |= {message.key} if message.key is not None else set()
                else:
                    self.log.append(message)
                    await self._pass_time()

    def _strikes(self, chance: float) -> bool:
        return self.bad_calls > 0 and self.random.random() < chance

    async def _pass_time(self) -> None:
        for _ in range(self.random.choice((0, 0, 1, 5)) if self.bad_calls > 0 else 0):
            await asyncio.sleep(0)

    async def reachable(self) -> bool:
        return True

    async def close(self) -> None:
        """Hold nothing."""


class World:
    """A store, two relays on it, and the broker."""

    def __init__(self, random: Random, bad_calls: int) -> None:
        self.random = random
        self.store = MemoryStore(Policy())
        self.outbox = MemoryOutbox(self.store)
        self.broker = Broker(random, bad_calls)
        self.told: list[OutboxMessage] = []
        self.wanted: defaultdict[tuple[str, bytes | None], list[bytes]] = defaultdict(list)
        self.number = 0
        self.relays = [self.relay(), self.relay()]

    def relay(self) -> "asyncio.Task[None]":
        shares = self.random.choice((1, 2, 16))
        made = OutboxRelay(self.outbox, self.broker, self.told.extend, METRICS, lambda: shares)
        return asyncio.create_task(made.run())

    def write(self, statement: Statement) -> None:
        messages = []
        for topic, key, is_refused in statement:
            self.number += 1
            value = b"%d" % self.number
            self.wanted[topic, key].append(value)
            messages.append(OutboxMessage(topic, key, value, ()))
            self.broker.refused |= {value} if is_refused else set()
        self.store.publish(messages)

    async def kill_one(self) -> None:
        """Have a relay die, and another one start."""
        await ended(self.relays.pop(0))
        self.relays.append(self.relay())

    async def mended(self) -> None:
        """Take what was refused, and wait for all."""
        await self._drained()
        self.broker.refused = set()
        set_aside = MemorySetAside(self.store)
        await set_aside.retry([one.number for one in await set_aside.refused()])
        await self._drained()
        for relay in self.relays:
            await ended(relay)

    async def _drained(self) -> None:
        async with asyncio.timeout(SECONDS):
            while any(self.store.outbox) or self.store.leased:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def ended(relay: "asyncio.Task[None]") -> None:
    relay.cancel()
    with suppress(asyncio.CancelledError):
        await relay


@pytest.mark.long
@settings(max_examples=by_profile(short=100, long=3000))
@given(st.lists(statements, max_size=15), st.integers(0, 2**32), st.integers(0, 30))
def test_every_key_arrives_in_its_order(
    written: list[Statement], seed: int, bad_calls: int
) -> None:
    with mock.patch.multiple(
        relay_module,
        FIRST_PAUSE_SECONDS=0.0,
        POLL_SECONDS=PAUSE,
        MIN_WAIT_SECONDS=PAUSE,
        RETRY_LOOK_SECONDS=PAUSE,
    ):
        world = asyncio.run(play(written, Random(seed), bad_calls))
    for (topic, key), values in world.wanted.items():
        came = [m.value or b"" for m in world.broker.log if (m.topic, m.key) == (topic, key)]
        if key is None:
            assert set(came) == set(values)
        else:
            assert list(dict.fromkeys(came)) == values
    assert {m.value for m in world.told} == {m.value for m in world.broker.log}


async def play(written: list[Statement], random: Random, bad_calls: int) -> World:
    world = World(random, bad_calls)
    for statement in written:
        world.write(statement)
        for _ in range(random.choice((0, 1, 10))):
            await asyncio.sleep(0)
        if random.random() < 0.1:
            await world.kill_one()
    await world.mended()
    return world
