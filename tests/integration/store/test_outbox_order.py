"""Whatever workers, broker and people do: each key's messages leave in order, and none is lost."""

import asyncio
import contextlib
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest

from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.models import Record
from rules.shards import SHARDS
from store.protocols.outbox import Pack
from tests.integration.store.builders import Stores
from tests.support.order import Broker
from tests.support.profiles import by_profile

STEPS = 60
SEEDS = by_profile(short=3, long=30)


class Run:
    """Steps in the order of a random number."""

    def __init__(self, stores: Stores, random: Random) -> None:
        self._stores = stores
        self._random = random
        self.broker = Broker(random)

    async def put(self) -> None:
        letters = [
            DeadLetter(
                Record(m.topic, 0, 0, int(new_id()) % 2**40, m.key, m.value, ()), Reason.INVALID, ""
            )
            for m in self.broker.messages()
        ]
        await self._stores.inbox.dead_letter(letters)

    async def relay(self) -> None:
        """Publish the first packs of some shards."""
        shards = self._random.sample(range(SHARDS), SHARDS)
        async with self._stores.outbox.lease(shards, self._random.randint(1, SHARDS)) as lease:
            done = self._first(await lease.fetch())
            await lease.end(done, self.broker.take(done))

    async def crash(self) -> None:
        """Have a relay end before it has sent anything, which asked for all to be forgotten."""
        with contextlib.suppress(CancelledError):
            async with self._stores.outbox.lease(range(SHARDS), SHARDS) as lease:
                await lease.end(await lease.fetch(), {})
                raise CancelledError

    def _first(self, packs: Sequence[Pack]) -> list[Pack]:
        """Return the first packs of each shard: all, some or none."""
        last = {pack.shard: self._random.choice((pack.id, 0)) for pack in packs}
        return [pack for pack in packs if pack.id <= last[pack.shard]]

    async def retry(self) -> None:
        await self._stores.set_aside.retry(self._some(await self._refused()))

    async def drop(self) -> None:
        numbers = self._some(await self._refused())[:1]
        self.broker.drop(await self._stores.set_aside.drop(numbers))

    def _some(self, numbers: list[int]) -> list[int]:
        return self._random.sample(numbers, min(len(numbers), 2))

    async def _refused(self) -> list[int]:
        return [one.number for one in await self._stores.set_aside.refused()]

    async def finish(self) -> None:
        """Bring everything to an end: the broker takes all, and people retry all."""
        self.broker.refusing = False
        await self._stores.set_aside.retry(await self._refused())
        async with self._stores.outbox.lease(range(SHARDS), SHARDS) as lease:
            while packs := await lease.fetch():
                await lease.end(packs, self.broker.take(packs))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_each_keys_messages_leave_in_their_order_and_none_is_lost(
    stores: Stores, seed: int
) -> None:
    random = Random(seed)
    run = Run(stores, random)
    steps = (run.put, run.put, run.relay, run.relay, run.crash, run.retry, run.drop)
    for _ in range(STEPS):
        await random.choice(steps)()
    await run.finish()
    run.broker.check()
    assert (await stores.set_aside.counts()).refused == 0
    assert (await stores.maintenance.backlog()).outbox_depth == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_same_with_several_relays_at_once(stores: Stores, seed: int) -> None:
    # Changes of one key follow each other, as their rows' locks make them; all else is at once.
    run = Run(stores, Random(seed))
    putting = asyncio.create_task(repeated(run.put))
    others = (run.relay, run.relay, run.relay, run.crash, run.retry, run.drop)
    await asyncio.gather(putting, *map(repeated, others))
    await run.finish()
    run.broker.check()
    assert (await stores.maintenance.backlog()).outbox_depth == 0


async def repeated(step: Callable[[], Awaitable[None]]) -> None:
    for _ in range(STEPS // 3):
        await step()
        await asyncio.sleep(0)
