"""Publishes the outbox to Kafka: the only way out of the service."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from agents.backoff import Backoff
from agents.cancelling import end
from agents.jobs.settling import Settled, ShardFailure, free, settled
from rules.dead_letters.letters import event_id_of
from rules.models import OutboxMessage
from rules.packs import FETCHED_PACKS, MAX_BYTES
from rules.shards import SHARDS
from rules.sizes import size_of
from store.protocols.outbox import (
    ClassEventPublisherProtocol,
    OutboxLease,
    OutboxProtocol,
    Pack,
    Refusal,
    Unsent,
)
from telemetry.health import OK
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

POLL_SECONDS: Final = 1.0
#: While there is something to do, rounds begin at least so far apart: what is committed meanwhile
#: goes together. Each round has a transaction and requests of its own. A full one, which may have
#: left some behind, is followed at once.
ROUND_SECONDS: Final = 0.02
#: How many shards that have failed are tried at once, beside the others.
RETRIES_AT_ONCE: Final = 2
FIRST_PAUSE_SECONDS: Final = 0.2
#: How often a lease is kept while Kafka is waited for.
KEEP_SECONDS: Final = 3.0
MIN_WAIT_SECONDS: Final = 0.01
#: How soon the end of a retry is noticed.
RETRY_LOOK_SECONDS: Final = 0.1
#: After this long health and log say of a shard that it waits; the log says it again and again.
TELL_SECONDS: Final = 60.0
#: After this long without a lease nothing waits in a shard that has failed: longer than another
#: worker tries it.
AWAY_SECONDS: Final = 15.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """The shards that were leased, and whether there may be more in one of them."""

    shards: frozenset[int]
    is_full: bool


_NOTHING: Final = Round(frozenset(), is_full=False)


class OutboxRelay:
    """Publishes each shard's messages in order and deletes them once acknowledged.

    All shards in which something waits are published together, so that each partition gets one
    batch. A shard that fails waits, longer each time, and is tried again by itself; the others go
    on, also while it hangs. A message that the broker refuses for good is set aside with the later
    ones of its topic and key, until people decide.
    """

    def __init__(
        self,
        outbox: OutboxProtocol,
        publisher: ClassEventPublisherProtocol,
        published: Callable[[Sequence[OutboxMessage]], None],
        metrics: Metrics,
        relays: Callable[[], int] = lambda: 1,
    ) -> None:
        """Pass what the broker has acknowledged to `published`, which must not wait.

        `relays` returns how many workers share the shards, this one included.
        """
        self._outbox = outbox
        self._publisher = publisher
        self._published = published
        self._metrics = metrics
        self._relays = relays
        retries = min(RETRIES_AT_ONCE, outbox.most_leases - 1)
        self._slot = asyncio.Semaphore()
        # With one connection what is tried again waits for its turn with the others.
        self._retry_slots = asyncio.Semaphore(retries) if retries else self._slot
        self._first = 0
        self._failing: dict[int, _Postponed] = {}
        self._retries: dict[int, asyncio.Task[None]] = {}
        #: When each retry that has a slot took its last step.
        self._retries_moved: dict[int, float] = {}
        self._moved = time.monotonic()

    def stalled_seconds(self) -> float:
        """Return how long ago the last step ended; timeouts of PostgreSQL and Kafka bound each."""
        return time.monotonic() - min(self._moved, *self._retries_moved.values(), math.inf)

    def state(self) -> str:
        """Return "ok", or which events have been waiting for long."""
        now = time.monotonic()
        here = [shard for shard in self._failing.values() if shard.away_since is None]
        late = [shard for shard in here if now - shard.since > TELL_SECONDS]
        if not late:
            return OK
        longest = now - min(shard.since for shard in late)
        places = ", ".join(sorted({place for shard in late for place in shard.places}))
        shards = "1 shard has" if len(late) == 1 else f"{len(late)} shards have"
        return f"events of {shards} waited for {longest:.0f} s: {places}"

    async def run(self) -> None:
        """Relay as soon as something is committed, and at least every second."""
        try:
            while True:
                self._move()
                self._end_retries()
                self._retry()
                began = time.monotonic()
                done = await self._round()
                if not done.shards - self._failing.keys():
                    await self._outbox.wait(self._next_look())
                elif not done.is_full:
                    await asyncio.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))
        except Exception:
            # A retry that hangs, left behind, would keep its lease.
            await asyncio.gather(*self._retries.values(), return_exceptions=True)
            raise
        finally:
            for retry in self._retries.values():
                retry.cancel()
            await asyncio.gather(*self._retries.values(), return_exceptions=True)
            self._retries.clear()

    def _retry(self) -> None:
        """Try the shards whose time has come again, each in a task that no round waits for."""
        now = time.monotonic()
        for shard, failing in self._failing.items():
            if failing.until <= now and shard not in self._retries:
                self._retries[shard] = asyncio.create_task(self._try_again(shard))

    def _end_retries(self) -> None:
        """Take the retries that have ended off the list. Raises their errors."""
        for shard, retry in list(self._retries.items()):
            if retry.done():
                del self._retries[shard]
                retry.result()

    async def _round(self) -> Round:
        """Publish of all shards that do not fail."""
        shards = [(self._first + n) % SHARDS for n in range(SHARDS)]
        sound = [shard for shard in shards if shard not in self._failing]
        if not sound:
            return _NOTHING
        async with self._slot:
            done = await self._publish(sound, math.ceil(SHARDS / max(1, self._relays())))
        # Others come first next time, should the other workers not do their part; also where the
        # first ones are large, and all of them another worker's.
        self._first = (self._first + max(1, len(done.shards))) % SHARDS
        return done

    async def _try_again(self, shard: int) -> None:
        """Publish of a shard that has failed."""
        async with self._retry_slots:
            try:
                done = await self._publish([shard], 1, shard)
            finally:
                self._retries_moved.pop(shard, None)
        if not done.shards:
            self._look_later(shard)

    def _look_later(self, shard: int) -> None:
        """Go on with a shard by itself: another worker tries it, until it turns out to be empty."""
        now = time.monotonic()
        postponed = self._failing[shard]
        postponed.until = now + POLL_SECONDS
        if postponed.away_since is None:
            postponed.away_since = now
        elif now - postponed.away_since > AWAY_SECONDS:
            del self._failing[shard]

    def _move(self, retried: int | None = None) -> None:
        """Note a step; that of a retry hides no stall of the others, nor theirs one of a retry."""
        if retried is None:
            self._moved = time.monotonic()
        else:
            self._retries_moved[retried] = time.monotonic()

    async def _publish(
        self, shards: Collection[int], most: int, retried: int | None = None
    ) -> Round:
        """Publish the first packs of some shards."""
        self._move(retried)
        async with self._outbox.lease(shards, most) as lease:
            self._move(retried)
            if not lease.shards:
                return _NOTHING
            packs = await lease.fetch()
            self._move(retried)
            result = await self._send(lease, packs, retried)
        self._move(retried)
        # Only now is it so.
        self._tell(result.refused)
        for shard in lease.shards:
            self._note(shard, result.failures.get(shard))
        return Round(lease.shards, _may_be_full(packs))

    async def _send(
        self, lease: OutboxLease, packs: Sequence[Pack], retried: int | None
    ) -> Settled:
        messages = free(packs)
        unsent = await self._sent(lease, messages) if messages else Unsent()
        self._move(retried)
        result = settled(packs, unsent)
        if result.sent:
            self._published(result.sent)
            self._metrics.published.inc(len(result.sent))
        await lease.end(result.done, result.set_aside)
        return result

    async def _sent(self, lease: OutboxLease, messages: Sequence[OutboxMessage]) -> Unsent:
        """Send messages, and keep the lease for as long as that takes."""
        sending = asyncio.create_task(self._publisher.publish(messages))
        try:
            while not (await asyncio.wait([sending], timeout=KEEP_SECONDS))[0]:
                await lease.keep()
        finally:
            await end([sending])
        return sending.result()

    def _tell(self, refused: Sequence[tuple[OutboxMessage, Refusal]]) -> None:
        """Log one line for each topic and reason, without the key: it may be a user's id."""
        groups: dict[tuple[str, Refusal], list[OutboxMessage]] = {}
        for message, reason in refused:
            self._metrics.outbox_refused.labels(reason.value).inc()
            groups.setdefault((message.topic, reason), []).append(message)
        for (topic, reason), messages in groups.items():
            event_id = event_id_of(messages[0].headers)
            _log.error(
                "message refused by the broker, set aside",
                topic=topic,
                reason=reason.value,
                event_id=str(event_id) if event_id else None,
                messages=len(messages),
            )

    def _note(self, shard: int, failure: ShardFailure | None) -> None:
        """Postpone a shard that has failed; let the others follow that does not fail any more."""
        if failure is not None:
            self._postpone(shard, failure)
        elif self._failing.pop(shard, None):
            _log.info("events follow again", shard=shard)

    def _postpone(self, shard: int, failure: ShardFailure) -> None:
        self._metrics.retries.labels("relay").inc()
        now = time.monotonic()
        postponed = self._failing.setdefault(shard, _Postponed(now))
        postponed.until = now + postponed.backoff.next()
        postponed.places = failure.places
        postponed.away_since = None
        if now >= postponed.tell_at:
            postponed.tell_at = now + TELL_SECONDS
            _log.warning(
                "events wait in the outbox",
                shard=shard,
                seconds=round(now - postponed.since),
                places=sorted(failure.places),
                exc_info=failure.error,
            )

    def _next_look(self) -> float:
        """Return the seconds until there may be a shard to retry, at most one."""
        if self._retries:
            return RETRY_LOOK_SECONDS
        now = time.monotonic()
        until = min((shard.until for shard in self._failing.values()), default=now + POLL_SECONDS)
        return min(max(until - now, MIN_WAIT_SECONDS), POLL_SECONDS)


def _may_be_full(packs: Sequence[Pack]) -> bool:
    """Whether there may be more in a shard than was fetched: so many packs or bytes."""
    of_shards = Counter(pack.shard for pack in packs)
    return max(of_shards.values(), default=0) >= FETCHED_PACKS or any(map(_is_large, packs))


def _is_large(pack: Pack) -> bool:
    """Whether a pack is one message that has no room beside others."""
    first = pack.messages[0]
    return len(pack.messages) == 1 and size_of(first.key, first.value, ()) > MAX_BYTES


@dataclass(slots=True)
class _Postponed:
    """A shard that has been failing since a time, waits until another, and is told of at one.

    `places`: the topics and partitions that the last attempt met. `away_since`: since when the
    shard has not been to be leased. Times are of the monotonic clock.
    """

    since: float
    away_since: float | None = None
    until: float = 0.0
    tell_at: float = 0.0
    places: AbstractSet[str] = frozenset()
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_SECONDS, jitter=0.0))
