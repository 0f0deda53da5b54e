"""Fixes Faust's consumer.

It loses messages at rebalances and stops, fetches slowly, spends more on a message than its handler
does, reads aborted transactions, and ends at a record batch that it cannot decode.
"""

import asyncio
import logging
import types
from collections.abc import Coroutine, Generator, Iterable, Mapping
from typing import Any, Final, cast

import faust
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage
from faust.types.transports import TPorTopicSet
from mode.services import WaitResults
from yarl import URL

from agents.faust_support.connections import survive_closed_transports
from agents.faust_support.producer import CarefulProducer
from agents.faust_support.runs import Run, runs_of
from agents.kafka.fetching import CarefulFetcher, OnLost, fetch_carefully, stable_end
from rules.models import Record

FETCH_MAX_WAIT_MS: Final = 100

_logger = logging.getLogger("faust.transport")


class CarefulConsumerThread(AIOKafkaConsumerThread):
    """Waits less for a fetch, reads what is committed, and seeks back over records not to be read.

    What agents read leaves it in runs (agents/faust_support/runs.py).

    **Waiting.** Faust fixes `fetch_max_wait_ms` at 1,500. Each step of a rebalance that calls a
    consumer whose topics are quiet waits for its fetch: a rebalance of two workers took 1.7 to
    4.8 s. And the embedded development broker answers a waiting fetch only after half of that
    time, even if there are records.

    **Committed.** Faust reads aborted transactions, too, unless it uses transactions itself. A log
    ends accordingly where the first open one begins.

    **Seeking back.** A fetch that waits through a rebalance still asks for the old partitions; once
    none are left, aiokafka reads that as all of them. Faust drops the records fetched this way. If
    the seek to the committed offset came before the fetch, they were never read again.
    """

    logger = _logger

    def _create_worker_consumer(self, transport: Transport) -> Any:  # noqa: ANN401  # as Faust's
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001  # Faust has no setting
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # as above
        return consumer

    async def on_start(self) -> None:
        """Start, with a fetcher that makes our records and tells of what it has lost."""
        await super().on_start()
        self.fetcher.yields_records = True
        self.fetcher.on_lost = cast("CarefulConsumer", self.consumer).on_lost

    @property
    def fetcher(self) -> CarefulFetcher:
        """The fetcher of aiokafka's consumer."""
        fetcher: CarefulFetcher = self._ensure_consumer()._fetcher  # noqa: SLF001  # has no accessor
        return fetcher

    def highwater(self, tp: TP) -> int:
        """Return where a log ends, behind what is committed."""
        return cast("int", stable_end(self._ensure_consumer(), tp))

    async def _fetch_records(
        self,
        consumer: Any,  # noqa: ANN401  # aiokafka has no types
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        # Nothing is awaited between the fetch and the seek: no other seek comes between them.
        fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        unwanted = [tp for tp in fetched if not cast("CarefulConsumer", self.consumer).wants(tp)]
        for tp in unwanted:
            consumer.seek(tp, fetched[tp][0].offset)
        wanted = {tp: records for tp, records in fetched.items() if tp not in unwanted}
        # Recovery, which Faust is left with where the own restore fails, takes single records.
        tables = self.app.tables.changelog_topics
        return {tp: r if tp.topic in tables else runs_of(r) for tp, r in wanted.items()}


class CarefulConsumer(Consumer):
    """Seeks back also without a commit, passes on runs, and commits nothing once the App stops.

    **Seeking back.** At a rebalance Faust drops what it has read and not yet passed to an agent,
    and seeks to the committed offset to read it again. aiokafka's `seek_to_committed` does not
    move a partition without a commit: what was dropped there was never read again.

    **In order.** At the end of a rebalance Faust first resumes partitions, then seeks, then empties
    the agents' buffers: records read in between were dropped and counted as read. Here partitions
    are resumed only after that.

    **Committing.** Faust keeps each acknowledged offset, sorts them, and commits up to the first
    one missing. Of a log's own gaps it learns, but of none behind offset 0, and then nothing of the
    partition was committed any more. An agent handles a partition in order, so here the last one
    that it acknowledged says all.

    **Stopping.** At a stop Faust closes the agents' streams before it cancels the agents, and a
    closing `take_events` acknowledges the batch that its agent still handles. Committing that
    would lose it; not committing redelivers a few messages, which the inbox deduplicates.
    """

    logger = _logger

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Faust's
        self._held_back: set[TP] = set()
        self._begins: dict[TP, int] = {}
        super().__init__(*args, **kwargs)
        self.on_lost = cast("CarefulTransport", self.transport).on_lost

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return CarefulConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Record | Run) -> ConsumerMessage:
        run = record if isinstance(record, Run) else Run([record])
        last = run[-1]
        message: Any = ConsumerMessage(
            *tp,
            last.offset,
            last.timestamp_ms / 1000.0,
            0,
            None,
            last.key,
            last.value,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.records = run
        message.undecodable = last.undecodable
        return cast("ConsumerMessage", message)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Note nothing: offsets that are in no run were in no agent's way."""

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset behind what has been acknowledged since the last commit, if any."""
        acked = self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        return max(acked) + 1 if acked else None

    def held_back(self, tp: TP) -> bool:
        """Whether a partition waits until what could not be decoded is fetched again."""
        # Not `paused()`: it walks the assignment, which the consumer's thread changes meanwhile.
        state = cast("CarefulConsumerThread", self._thread).fetcher.state(tp)
        return bool(state and state.paused)

    def clear_behind(self, tp: TP) -> tuple[int, int] | None:
        """Return the offsets behind the last record that are read and empty: from, to before."""
        return cast("CarefulConsumerThread", self._thread).fetcher.clear_behind(tp)

    def wants(self, tp: TP) -> bool:
        """Whether records of a partition now reach its agent or its table."""
        active = tp in self._active_partitions or tp in self._buffered_partitions
        return active or self._is_changelog_tp(tp)

    async def wait_first(
        self,
        *coros: Any,  # noqa: ANN401  # coroutines, or what has a wait()
        timeout: Any = None,  # noqa: ANN401, ASYNC109  # Faust's signature
    ) -> WaitResults:
        """Wait for the first; Faust calls this for each run that it puts into a buffer.

        Nearly always that completes at once. So it is started here, and gets Faust's four tasks
        only if it has to wait: at a full buffer, where a rebalance must be able to interrupt it.
        """
        first, *others = coros
        if not others or not asyncio.iscoroutine(first):
            return await super().wait_first(*coros, timeout=timeout)
        try:
            waits_for = first.send(None)
        except StopIteration as end:
            _close(others)
            return WaitResults([first], [end.value], stopped=False)
        except BaseException:
            _close(others)
            raise
        return await super().wait_first(_rest(first, waits_for), *others, timeout=timeout)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offset, or else to the beginning, as a new consumer would."""
        committed = await super().seek_to_committed()
        # Tables are read from where their files end, whatever is committed.
        uncommitted = [
            tp for tp, offset in committed.items() if not offset and not self._is_changelog_tp(tp)
        ]
        if uncommitted:
            await self._thread.seek_to_beginning(*uncommitted)
        self._begins = {ensure_TP(tp): offset or 0 for tp, offset in committed.items()}
        return committed

    def begins(self, tp: TP) -> int | None:
        """Return where reading of a partition began after its assignment, None if unknown."""
        return self._begins.get(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget where reading began; the next assignment sets it."""
        self._begins = {}
        await super().on_partitions_revoked(revoked)

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Stop reading partitions; they are no longer held back either."""
        self._held_back.difference_update(tps)
        super().pause_partitions(tps)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume tables, for recovery; hold streams back until the flow is resumed."""
        tables = {tp for tp in tps if self._is_changelog_tp(tp)}
        self._held_back.update(set(tps) - tables)
        super().resume_partitions(tables)

    def resume_flow(self) -> None:
        """Resume the streams too: Faust has sought back and emptied its buffers by now."""
        super().resume_partitions(self._held_back)
        self._held_back.clear()
        super().resume_flow()

    async def force_commit(
        self,
        topics: TPorTopicSet | None = None,
        start_new_transaction: bool = True,  # noqa: FBT001, FBT002  # Faust's signature
    ) -> bool:
        """Commit acknowledged messages while the App runs."""
        if self.app.should_stop:
            return False
        committed: bool = await super().force_commit(topics, start_new_transaction)
        return committed


def _close(coros: Iterable[Any]) -> None:
    """Close coroutines that are never awaited."""
    for coro in coros:
        coro.close()


async def _rest(started: Coroutine[Any, Any, Any], waits_for: Any) -> Any:  # noqa: ANN401  # as below
    """Continue a coroutine that has been started."""
    return await _resumed(started, waits_for)


@types.coroutine
def _resumed(started: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401  # what coroutines yield to the loop
    """Wait for what a coroutine waits for, and pass the result on to it."""
    while True:
        failure: BaseException | None = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation, above all
            failure = error
        try:
            waits_for = started.throw(failure) if failure else started.send(None)
        except StopIteration as end:
            return end.value


class CarefulTransport(Transport):
    """Uses `CarefulConsumer` and `CarefulProducer`; `on_lost` is called in its thread."""

    Consumer = CarefulConsumer
    Producer = CarefulProducer
    on_lost: OnLost | None = None


def use_own_transport(app: faust.App) -> None:
    """Make an App use these consumers, on connections that break properly."""
    survive_closed_transports()
    fetch_carefully()
    urls: list[URL] = app.conf.broker_consumer
    app.transport = CarefulTransport(urls, app)
