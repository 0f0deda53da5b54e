"""One shard that cannot be published holds up itself and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from structlog.testing import capture_logs

from agents.jobs import relay as relay_module
from agents.jobs.relay import POLL_SECONDS, OutboxRelay
from rules.errors import StoreUnavailableError
from rules.models import OutboxMessage, Policy
from rules.packs import FETCHED_BYTES, FETCHED_PACKS, MAX_BYTES
from rules.shards import SHARDS, shard_of
from store.memory.outbox import MemoryLease, MemoryOutbox
from store.memory.state import MemoryStore
from store.protocols.outbox import NotArrivedError, Unsent
from telemetry.metrics import Metrics

REFUSED = b"refused"
OTHERS = [key for key in (b"%d" % n for n in range(100)) if shard_of(key) != shard_of(REFUSED)]
SECONDS = 10


class Broker:
    """Does not take one key, for as long as it is told to."""

    def __init__(self) -> None:
        self.refuses = True
        self.took: list[OutboxMessage] = []
        self.calls: list[set[int]] = []

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        self.calls.append({shard_of(message.key) for message in messages})
        failed: dict[int, BaseException] = {}
        for position, message in enumerate(messages):
            if self.refuses and message.key == REFUSED:
                failed[position] = NotArrivedError(message.topic, 3)
            else:
                self.took.append(message)
        return Unsent(failed=failed)

    async def reachable(self) -> bool:
        return True

    async def close(self) -> None:
        """Hold nothing."""


class Hanging(Broker):
    """Takes nothing and refuses nothing."""

    given_up = 0

    async def publish(self, _messages: Sequence[OutboxMessage]) -> Unsent:
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up += 1
        return Unsent()


def message(key: bytes, value: bytes = b"") -> OutboxMessage:
    return OutboxMessage("topic", key, value, ())


def keys_of_all_shards() -> list[bytes]:
    """Return a key of each shard."""
    return list({shard_of(key): key for key in (b"%d" % n for n in range(200))}.values())


async def called(broker: Broker, times: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(broker.calls) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def took(broker: Broker, count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while len(broker.took) < count:  # noqa: ASYNC110  # an event would have to count, too
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(relay: OutboxRelay) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_others_go_on_and_the_refused_follow_in_order_once_they_are_taken() -> None:
    store = MemoryStore(Policy())
    broker = Broker()
    told: list[OutboxMessage] = []
    async with running(OutboxRelay(MemoryOutbox(store), broker, told.extend, Metrics())):
        store.publish([message(REFUSED, b"1"), message(REFUSED, b"2")])
        for key in OTHERS:
            store.publish([message(key)])
            await asyncio.sleep(0)
        await took(broker, len(OTHERS))
        assert {m.key for m in broker.took} == set(OTHERS)

        broker.refuses = False
        await took(broker, len(OTHERS) + 2)
        assert [m.value for m in broker.took if m.key == REFUSED] == [b"1", b"2"]
        assert not any(store.outbox)
        assert told == broker.took


async def test_what_was_sent_of_a_pack_that_stays_is_not_told_and_is_sent_again() -> None:
    store = MemoryStore(Policy())
    broker = Broker()
    told: list[OutboxMessage] = []
    friend = next(key for key in (b"%d" % n for n in range(99)) if shard_of(key) == REFUSED_SHARD)
    async with running(OutboxRelay(MemoryOutbox(store), broker, told.extend, Metrics())):
        store.publish([message(friend, b"first")])
        store.publish([message(REFUSED), message(friend, b"second")])
        await took(broker, 3)
        assert [m.value for m in told] == [b"first"]
        broker.refuses = False
        async with asyncio.timeout(SECONDS):
            while any(store.outbox):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [m.value for m in told] == [b"first", b"", b"second"]


REFUSED_SHARD = shard_of(REFUSED)


async def test_all_shards_go_together_and_workers_share_them() -> None:
    for sharing, expected in ((1, [16]), (2, [8, 8]), (3, [6, 6, 4]), (20, [1] * 16)):
        store = MemoryStore(Policy())
        broker = Broker()
        store.publish([message(key) for key in keys_of_all_shards()])
        relay = OutboxRelay(
            MemoryOutbox(store), broker, lambda _: None, Metrics(), partial(int, sharing)
        )
        async with running(relay):
            await took(broker, SHARDS)
        assert [len(call) for call in broker.calls] == expected
        assert set().union(*broker.calls) == set(range(SHARDS))


async def test_what_is_committed_soon_after_a_round_goes_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "ROUND_SECONDS", 1.0)
    store = MemoryStore(Policy())
    broker = Broker()
    async with running(OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())):
        store.publish([message(b"1")])
        await called(broker, 1)
        await asyncio.sleep(0.05)
        for key in (b"2", b"3", b"4"):
            store.publish([message(key)])
            await asyncio.sleep(0)
        await took(broker, 4)
    assert {m.key for m in broker.took} == {b"1", b"2", b"3", b"4"}
    assert len(broker.calls) == 2


async def test_a_full_round_is_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "ROUND_SECONDS", 2.0 * SECONDS)
    store = MemoryStore(Policy())
    broker = Broker()
    messages = [message(b"key", bytes(MAX_BYTES // 2)) for _ in range(3 * FETCHED_PACKS)]
    for one in messages:
        store.publish([one])
    async with running(OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())):
        await took(broker, 3 * FETCHED_PACKS)
    assert len(broker.calls) > 1


async def test_a_round_of_large_messages_is_followed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "ROUND_SECONDS", 2.0 * SECONDS)
    store = MemoryStore(Policy())
    broker = Broker()
    for _ in range(4):
        store.publish([message(b"key", bytes(FETCHED_BYTES - MAX_BYTES))])
    async with running(OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())):
        await took(broker, 4)
    assert len(broker.calls) == 4


async def test_a_worker_whose_share_is_always_full_passes_over_no_shard() -> None:
    store = MemoryStore(Policy())

    class Refilling(Broker):
        async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
            unsent = await super().publish(messages)
            if len(self.calls) < 2 * SHARDS:
                store.publish([message(m.key or b"") for m in messages])
            return unsent

    broker = Refilling()
    store.publish([message(key) for key in keys_of_all_shards()])
    async with running(
        OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics(), lambda: SHARDS)
    ):
        await took(broker, SHARDS)
    assert set().union(*broker.calls[:SHARDS]) == set(range(SHARDS))


class FullFirst(MemoryOutbox):
    """Leases none behind the first shard, which another worker has: it fills the memory."""

    @asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator[MemoryLease]:
        first, *_ = shards
        async with super().lease([] if first == 0 else shards, most) as lease:
            yield lease


async def test_large_messages_that_another_worker_has_hold_up_nobody() -> None:
    store = MemoryStore(Policy())
    broker = Broker()
    store.publish([message(OTHERS[0])])
    async with running(OutboxRelay(FullFirst(store), broker, lambda _: None, Metrics())):
        await took(broker, 1)


class Narrow(MemoryOutbox):
    """Has connections for some leases."""

    def __init__(self, store: MemoryStore, most: int) -> None:
        super().__init__(store)
        self._most = most
        self.held = self.seen = 0

    @property
    def most_leases(self) -> int:
        return self._most

    @asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator[MemoryLease]:
        self.held += 1
        self.seen = max(self.seen, self.held)
        try:
            async with super().lease(shards, most) as lease:
                yield lease
        finally:
            self.held -= 1


class HangingOnceFailed(Broker):
    """Fails every message once, and then hangs."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        if self.calls:
            await asyncio.Event().wait()
        self.calls.append(set())
        return Unsent(failed=dict.fromkeys(range(len(messages)), TimeoutError()))


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_no_more_is_leased_at_once_than_the_outbox_allows(most: int) -> None:
    store = MemoryStore(Policy())
    outbox = Narrow(store, most)
    relay = OutboxRelay(outbox, HangingOnceFailed(), lambda _: None, Metrics())
    store.publish([message(key) for key in OTHERS])
    async with running(relay), asyncio.timeout(SECONDS):
        while outbox.seen < min(most, 3):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert outbox.seen == min(most, 3)


async def test_a_round_that_hangs_shows() -> None:
    store = MemoryStore(Policy())
    relay = OutboxRelay(MemoryOutbox(store), Hanging(), lambda _: None, Metrics())
    store.publish([message(REFUSED), message(OTHERS[0])])
    async with running(relay) as task:
        async with asyncio.timeout(SECONDS):
            while relay.stalled_seconds() < 2 * POLL_SECONDS:  # noqa: ASYNC110  # of a clock
                await asyncio.sleep(0.1)
        assert not task.done()
    assert not store.leased


class Kept(MemoryOutbox):
    """Counts how often its leases are kept; each ends when it is told to."""

    kept = 0
    ended = False

    @asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator[MemoryLease]:
        async def keep() -> None:
            self.kept += 1
            if self.ended:
                raise StoreUnavailableError

        async with super().lease(shards, most) as lease:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(lease, "keep", keep)
                yield lease


async def test_a_lease_is_kept_while_the_broker_hangs_and_given_up_once_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "KEEP_SECONDS", 0.01)
    store = MemoryStore(Policy())
    outbox, broker = Kept(store), Hanging()
    store.publish([message(OTHERS[0])])
    async with running(OutboxRelay(outbox, broker, lambda _: None, Metrics())) as task:
        async with asyncio.timeout(SECONDS):
            while outbox.kept < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert broker.given_up == 0
            outbox.ended = True
            with pytest.raises(StoreUnavailableError):
                await task
        assert broker.given_up == 1
    assert store.outbox[shard_of(OTHERS[0])]


class HangingLater(Broker):
    """Does not take a key at first, and then hangs with it."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = asyncio.Event()

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        if any(message.key == REFUSED for message in messages):
            if self.hangs.is_set():
                await asyncio.Event().wait()
            self.hangs.set()
        return await super().publish(messages)


async def test_a_shard_that_hangs_again_holds_up_no_other_and_still_shows() -> None:
    store = MemoryStore(Policy())
    broker = HangingLater()
    relay = OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())
    store.publish([message(REFUSED)])
    async with running(relay) as task:
        await asyncio.wait_for(broker.hangs.wait(), SECONDS)
        async with asyncio.timeout(SECONDS):
            number = 0
            while relay.stalled_seconds() < 2 * POLL_SECONDS:
                store.publish([message(OTHERS[number % len(OTHERS)])])
                number += 1
                await asyncio.sleep(0.1)
        await took(broker, number)
        assert not task.done()
    assert not store.leased


class GoneLater(MemoryOutbox):
    """Has a database that goes away once a shard has failed."""

    leases = 0

    @asynccontextmanager
    async def lease(self, shards: Collection[int], most: int) -> AsyncIterator[MemoryLease]:
        if len(shards) == 1:
            raise StoreUnavailableError
        async with super().lease(shards, most) as lease:
            yield lease


async def test_what_a_retry_meets_ends_the_relay_as_what_others_meet() -> None:
    store = MemoryStore(Policy())
    relay = OutboxRelay(GoneLater(store), Broker(), lambda _: None, Metrics())
    store.publish([message(REFUSED)])
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(relay.run(), SECONDS)


async def test_a_shard_that_waits_is_told_again_and_again_and_to_the_health(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "TELL_SECONDS", 0.3)
    store = MemoryStore(Policy())
    broker = Broker()
    relay = OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())
    store.publish([message(REFUSED), message(OTHERS[0])])
    with capture_logs() as logs:
        async with running(relay):
            assert relay.state() == "ok"
            async with asyncio.timeout(SECONDS):
                while len(told := [line for line in logs if "wait" in line["event"]]) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert told[1]["shard"] == REFUSED_SHARD
            assert told[1]["places"] == ["topic[3]"]
            assert REFUSED.decode() not in str(told)
            assert relay.state().startswith("events of 1 shard has waited for ")
            assert relay.state().endswith(" s: topic[3]")

            broker.refuses = False
            await took(broker, 2)
            await asyncio.sleep(0)
            assert relay.state() == "ok"
    assert logs[-1]["event"] == "events follow again"


async def test_a_shard_that_another_worker_tries_still_goes_by_itself() -> None:
    store = MemoryStore(Policy())
    broker = Broker()
    store.publish([message(REFUSED)])
    async with running(OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())):
        await called(broker, 1)
        async with MemoryOutbox(store).lease([REFUSED_SHARD], 1):
            await asyncio.sleep(1)
            store.publish([message(OTHERS[0])])
            before = len(broker.calls)
        await called(broker, before + 2)
        assert {REFUSED_SHARD} in broker.calls[before:]
        assert all(len(shards) == 1 for shards in broker.calls)


async def test_what_another_worker_has_published_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "TELL_SECONDS", 0.3)
    monkeypatch.setattr(relay_module, "AWAY_SECONDS", 0.1)
    store = MemoryStore(Policy())
    broker = Broker()
    relay = OutboxRelay(MemoryOutbox(store), broker, lambda _: None, Metrics())
    store.publish([message(REFUSED)])
    async with running(relay):
        async with asyncio.timeout(SECONDS):
            while relay.state() == "ok":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            store.outbox[REFUSED_SHARD].clear()
            while relay.state() != "ok":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            # After a while it goes with the others again.
            broker.refuses = False
            both = {REFUSED_SHARD, shard_of(OTHERS[0])}
            while both not in broker.calls:
                await asyncio.sleep(0.2)
                store.publish([message(REFUSED), message(OTHERS[0])])
