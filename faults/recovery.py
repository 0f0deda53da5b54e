"""The service has recovered once all workers have done each of its tasks again."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from devstack.rig.envelopes import SUGGESTIONS
from devstack.rig.kafka import PARTITIONS, REQUEST_MS
from devstack.rig.kafka_clients import kafka_consumer, places_of
from faults.calls import Calls
from faults.cancellation import cancel
from faults.history import Op, Outcome, Sent
from faults.sender import Sender, enveloped
from faults.workload.roster import new_class, new_student
from rules import topics

RETRY_SECONDS: Final = 0.25
#: After this everything is requested again: a request to a server that had just started may be
#: lost, which says nothing about the service's present state.
AGAIN_SECONDS: Final = 20.0
WATCHED: Final = (
    topics.CLASS_CREATED,
    topics.COMMAND_RESULTS,
    topics.NOTIFICATION_REQUESTED,
)


@dataclass
class EventWatch:
    """Follows what the service publishes from now on, so that senders can wait for it."""

    bootstrap_servers: str
    clock: Callable[[], float]
    waiting: set[str]
    """The commands without a result so far."""
    seen: dict[str, float] = field(default_factory=dict)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        """Read until cancelled."""
        async with kafka_consumer(
            self.bootstrap_servers, auto_offset_reset="latest", request_timeout_ms=REQUEST_MS
        ) as consumer:
            consumer.assign(places_of(WATCHED, PARTITIONS))
            async for record in consumer:
                for name, value in record.headers:
                    if name == "correlation_id":
                        self._heard(record.topic, value.decode(errors="replace"))
                self._more.set()

    def _heard(self, topic: str, correlation_id: str) -> None:
        self.seen.setdefault(correlation_id, self.clock())
        if topic == topics.COMMAND_RESULTS:
            self.waiting.discard(correlation_id)

    async def wait(self, wanted: Collection[Sequence[str]]) -> float:
        """Wait until each was published under one of its correlation ids; return when all were."""
        while any(self._when(ids) is None for ids in wanted):
            self._more.clear()
            await self._more.wait()
        return max(self._when(ids) or 0.0 for ids in wanted)

    def _when(self, correlation_ids: Sequence[str]) -> float | None:
        return next((self.seen[one] for one in correlation_ids if one in self.seen), None)


@dataclass
class HealthCheck:
    """Requests each of the service's tasks, in every partition."""

    user: str
    calls: Calls
    sender: Sender
    watch: EventWatch
    class_id: str = ""

    async def prepare(self) -> None:
        """Create the class for the requests."""
        self.class_id = (await self._made()).target or ""

    async def await_healthy(self, limit: float) -> float | None:
        """Wait until everything works; return when it did, None if not in time."""
        rounds: set[asyncio.Task[float]] = set()
        try:
            async with asyncio.timeout(limit):
                while True:
                    rounds.add(asyncio.create_task(self._round()))
                    done, _ = await asyncio.wait(
                        rounds, timeout=AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if done:
                        return min([one.result() for one in done])
        except TimeoutError:
            return None
        finally:
            await cancel(rounds)

    async def _round(self) -> float:
        """Request everything once; return when the last result was published."""
        return max(await asyncio.gather(self._http(), self._streams()))

    async def _http(self) -> float:
        """Create a class at every worker, and wait for its event."""
        made = [(await self._made(port)).correlation_ids for port in self.calls.ports]
        return await self.watch.wait(made)

    async def _made(self, port: int | None = None) -> Op:
        ports = self.calls.ports if port is None else [port]
        calls = Calls(
            self.calls.session, ports, self.calls.history, self.calls.clock, self.calls.rng
        )
        while True:
            op = await calls.do("class.create", self.user, None, new_class())
            if op.outcome is Outcome.ACKED:
                return op
            await asyncio.sleep(RETRY_SECONDS)

    async def _streams(self) -> float:
        """Send a message and a command to every partition, and wait for their events."""
        sent = await asyncio.gather(
            *(self._suggest(number) for number in range(PARTITIONS)),
            *(self._command(number) for number in range(PARTITIONS)),
        )
        return await self.watch.wait([(one,) for one in sent])

    async def _suggest(self, partition: int) -> str:
        """Send a message, again with new ids if Kafka did not accept it, as it may be lost."""
        while True:
            sent = await self._suggestion(partition)
            if sent.acked:
                return str(sent.op_id)

    async def _suggestion(self, partition: int) -> Sent:
        batch_id = str(uuid4())
        data = {
            "batch_id": batch_id,
            "class_id": self.class_id,
            "match_results": [{"essay_id": str(uuid4()), "suggestions": []}],
        }
        envelope = enveloped(SUGGESTIONS, data)
        return await self.sender.message(SUGGESTIONS, batch_id, envelope, partition=partition)

    async def _command(self, partition: int) -> str:
        """Send a command, and another one if Kafka did not accept it."""
        while True:
            student = str(uuid4())
            body = new_student() | {"student_id": student}
            op = await self.sender.command(
                "student.create", self.user, body, student, partition=partition
            )
            if op is not None:
                return op.id
