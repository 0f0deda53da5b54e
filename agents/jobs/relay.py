"""Publishes the outbox to Kafka: the only way out of the service."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.backoff import Backoff
from rules.dead_letters.letters import event_id_of
from rules.models import OutboxMessage
from store.protocols.outbox import (
    ClassEventPublisherProtocol,
    OutboxProtocol,
    OutboxRow,
    PublishError,
    Refusal,
    Unsent,
)
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

BATCH_ROWS: Final = 500
POLL_SECONDS: Final = 1.0
SHARDS_AT_ONCE: Final = 4
#: How many shards that have failed are tried at once, beside the others.
RETRIES_AT_ONCE: Final = 2
FIRST_PAUSE_SECONDS: Final = 0.2
MIN_WAIT_SECONDS: Final = 0.01
#: How soon the end of a retry is noticed.
RETRY_LOOK_SECONDS: Final = 0.1

_log = get_logger(__name__)


class OutboxRelay:
    """Publishes each shard's rows in order and deletes them once acknowledged.

    A shard that fails waits, longer each time; the others go on, also while it is tried again and
    hangs. A message that the broker refuses for good is set aside with the later ones of its topic
    and key, until people decide.
    """

    def __init__(
        self,
        outbox: OutboxProtocol,
        publisher: ClassEventPublisherProtocol,
        published: Callable[[Sequence[OutboxMessage]], None],
        metrics: Metrics,
    ) -> None:
        """Pass what the broker has acknowledged to `published`, which must not wait."""
        self._outbox = outbox
        self._publisher = publisher
        self._published = published
        self._metrics = metrics
        retries = min(RETRIES_AT_ONCE, outbox.most_leases // 3)
        self._slots = asyncio.Semaphore(min(SHARDS_AT_ONCE, outbox.most_leases - retries))
        # With few connections what is tried again waits for its turn with the others.
        self._retry_slots = asyncio.Semaphore(retries) if retries else self._slots
        self._failing: dict[int, _Postponed] = {}
        self._retries: dict[int, asyncio.Task[int]] = {}
        #: When each retry that has a slot took its last step.
        self._retries_moved: dict[int, float] = {}
        self._moved = time.monotonic()

    def stalled_seconds(self) -> float:
        """Return how long ago the last step ended; timeouts of PostgreSQL and Kafka bound each."""
        return time.monotonic() - min(self._moved, *self._retries_moved.values(), math.inf)

    async def run(self) -> None:
        """Relay as soon as something is committed, and at least every second."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                self._move()
                self._end_retries()
                waiting = await self._outbox.waiting_shards()
                self._retry(waiting, clock)
                sound = [shard for shard in waiting if shard not in self._failing]
                if not await self._round(sound, clock):
                    await self._outbox.wait(self._next_look(clock()))
        except Exception:
            # A retry that hangs, left behind, would keep its lease.
            await asyncio.gather(*self._retries.values(), return_exceptions=True)
            raise
        finally:
            for retry in self._retries.values():
                retry.cancel()
            await asyncio.gather(*self._retries.values(), return_exceptions=True)
            self._retries.clear()

    def _retry(self, waiting: Sequence[int], clock: Callable[[], float]) -> None:
        """Try the shards whose time has come again, each in a task that no round waits for."""
        for shard in waiting:
            failing = self._failing.get(shard)
            if failing and failing.until <= clock() and shard not in self._retries:
                self._retries[shard] = asyncio.create_task(self._try(shard, clock))

    def _end_retries(self) -> None:
        """Take the retries that have ended off the list. Raises their errors."""
        for shard, retry in list(self._retries.items()):
            if retry.done():
                del self._retries[shard]
                retry.result()

    async def _round(self, shards: Sequence[int], clock: Callable[[], float]) -> int:
        """Try each shard; return how many rows were sent. Raises an error once all have ended.

        A shard that hangs, left behind, would keep its lease, and its stall would not show.
        """
        attempts = (self._try(shard, clock) for shard in shards)
        results = await asyncio.gather(*attempts, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if not isinstance(result, BaseException))

    def _move(self, shard: int | None = None) -> None:
        """Note a step; that of a retry hides no stall of the others, nor theirs one of a retry."""
        if shard in self._retries:
            self._retries_moved[shard] = time.monotonic()
        else:
            self._moved = time.monotonic()

    async def _try(self, shard: int, clock: Callable[[], float]) -> int:
        """Publish a batch of a shard's rows; return how many. A failure postpones the shard."""
        try:
            count = await self._drain(shard)
        except PublishError as error:
            self._postpone(shard, clock(), error)
            return 0
        finally:
            self._move(shard)
            self._retries_moved.pop(shard, None)
        if count and shard in self._failing:
            del self._failing[shard]
            _log.info("events follow again", shard=shard)
        return count

    async def _drain(self, shard: int) -> int:
        async with self._slots_for(shard), self._outbox.lease(shard) as lease:
            self._move(shard)
            if lease is None:
                return 0
            rows = await lease.fetch(BATCH_ROWS)
            self._move(shard)
            free = [row for row in rows if not row.held]
            unsent = await self._publish(free, shard)
            sent = [row.id for position, row in enumerate(free) if position not in unsent]
            if sent:
                await lease.delete(sent)
            if len(sent) < len(rows):
                refused = {free[position].id: why for position, why in unsent.items()}
                await lease.set_aside({row.id: None for row in rows if row.held} | refused)
        # Only now is it so.
        self._tell([(free[position].message, why) for position, why in unsent.items() if why])
        return len(rows)

    def _slots_for(self, shard: int) -> asyncio.Semaphore:
        return self._retry_slots if shard in self._retries else self._slots

    async def _publish(self, rows: Sequence[OutboxRow], shard: int) -> Unsent:
        if not rows:
            return {}
        messages = [row.message for row in rows]
        unsent = await self._publisher.publish(messages, shard)
        self._move(shard)
        sent = [m for position, m in enumerate(messages) if position not in unsent]
        self._published(sent)
        self._metrics.published.inc(len(sent))
        return unsent

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

    def _postpone(self, shard: int, now: float, error: PublishError) -> None:
        self._metrics.retries.labels("relay").inc()
        if shard not in self._failing:
            _log.warning("events wait in the outbox", shard=shard, exc_info=error)
        postponed = self._failing.setdefault(shard, _Postponed())
        postponed.until = now + postponed.backoff.next()

    def _next_look(self, now: float) -> float:
        """Return the seconds until there may be a shard to retry, at most one."""
        if self._retries:
            return RETRY_LOOK_SECONDS
        until = min((shard.until for shard in self._failing.values()), default=now + POLL_SECONDS)
        return min(max(until - now, MIN_WAIT_SECONDS), POLL_SECONDS)


@dataclass(slots=True)
class _Postponed:
    """A failing shard, which waits until this time on the loop's clock."""

    until: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_SECONDS, jitter=0.0))
