"""The whole load at once, and then the wait until no backlog is left."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench import seed
from bench.http_load import LoadError, quantile
from bench.kafka import TAIL_MS
from bench.mixed import backlog
from bench.mixed.commands import Commands
from bench.mixed.pacer import Pacer
from bench.mixed.suggestions import Suggestions
from bench.mixed.tally import Tally
from bench.mixed.teachers import Teachers
from devstack.ports import LOOPBACK
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer, tail
from rules import topics

#: A quarter of what two CPUs can do, including PostgreSQL, the broker and this program: the
#: service has to keep up even if others use the CPUs as well.
REQUESTS_PER_S: Final = 60
BATCHES_PER_S: Final = 12
COMMANDS_PER_S: Final = 4
CONNECTIONS: Final = 10
ANSWER_SECONDS: Final = 15.0
#: The limit after the last deadline, when no backlog may be left.
SETTLE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5

_LATENESS: Final = """
select coalesce(min(late), 0)::float8 as least, coalesce(max(late), 0)::float8 as most,
    coalesce(percentile_disc(0.99) within group (order by late), 0)::float8 as p99,
    count(*) as decisions
from (
    select extract(epoch from validated_at - confirm_by) as late
    from associations where method = 'timeout'
) as decided
"""


@dataclass(frozen=True)
class MixedLoad:
    """The service under load, and for how long."""

    dsn: str
    port: int
    internal_key: str
    bootstrap_servers: str
    group: str
    """The service's consumer group."""
    partitions: int
    seconds: float
    timeout_seconds: float
    """From a suggestion to its deadline."""


@dataclass(frozen=True)
class MixedResult:
    """The measurements; instants are of `time.monotonic`, the same in all processes."""

    began: float
    ended: float
    """When the last request was sent."""
    settled_seconds: float
    """From then until no backlog was left."""
    done: Mapping[str, int]
    """How many of each kind."""
    request_seconds: Sequence[float]
    """0.5, 0.95 and 0.99 quantiles."""
    lateness: Mapping[str, float]
    """Of the clock's decisions, in seconds: `least`, `p99`, `most`."""
    faults: Sequence[str]
    left: Mapping[str, int]
    """The backlog at the limit."""


def play(load: MixedLoad) -> MixedResult:
    """Run the load, wait, and return the measurements. Raises LoadError if nothing works."""
    return uvloop.run(_play(load))


async def _play(load: MixedLoad) -> MixedResult:
    async with contextlib.AsyncExitStack() as stack:
        day = await _Day.begin(load, stack)
        try:
            return await day.run()
        except* LoadError as troubles:
            raise _first(troubles) from None


def _first(group: BaseExceptionGroup[LoadError]) -> LoadError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


class _Day:
    """Everything that takes part in the load."""

    def __init__(
        self,
        load: MixedLoad,
        session: aiohttp.ClientSession,
        looking: "asyncpg.Connection[asyncpg.Record]",
        deciding: "asyncpg.Connection[asyncpg.Record]",
        producer: AIOKafkaProducer,
        results: AIOKafkaConsumer,
        group: AIOKafkaConsumer,
    ) -> None:
        self._load = load
        self._session = session
        self._looking = looking
        self._group = group
        self._tally = Tally()
        self._teachers = Teachers(session, self._tally)
        self._commands = Commands(producer, results, self._tally)
        self._suggestions = Suggestions(
            producer, deciding, self._teachers, self._commands, load.timeout_seconds
        )

    @classmethod
    async def begin(cls, load: MixedLoad, stack: contextlib.AsyncExitStack) -> "_Day":
        """Connect to everything."""
        servers = load.bootstrap_servers
        enter = stack.enter_async_context
        looking, deciding = await enter(connected(load.dsn)), await enter(connected(load.dsn))
        producer = await enter(kafka_producer(servers))
        results = await enter(tail(servers, topics.COMMAND_RESULTS, wait_ms=TAIL_MS))
        group = await enter(kafka_consumer(servers, group_id=load.group))
        session = await enter(
            aiohttp.ClientSession(
                f"http://{LOOPBACK}:{load.port}",
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
                headers={"X-User-ID": seed.OWNER, "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=None, sock_read=ANSWER_SECONDS),
            )
        )
        return cls(load, session, looking, deciding, producer, results, group)

    async def run(self) -> MixedResult:
        """Run the load and measure what is left of it."""
        load = self._load
        async with asyncio.TaskGroup() as tasks:
            pacer = Pacer(tasks)
            watching = [
                tasks.create_task(self._commands.read_results()),
                tasks.create_task(self._suggestions.decide(pacer.start)),
            ]
            began = time.monotonic()
            rates = {
                self._teachers.act: REQUESTS_PER_S,
                self._suggestions.act: BATCHES_PER_S,
                self._commands.act: COMMANDS_PER_S,
            }
            await asyncio.wait(
                [
                    tasks.create_task(pacer.pace(rate, load.seconds, act))
                    for act, rate in rates.items()
                ]
            )
            ended = time.monotonic()
            left = await self._settled(pacer, ended)
            for task in watching:
                task.cancel()
        return await self._result(began, ended, left)

    async def _settled(self, pacer: Pacer, ended: float) -> dict[str, int]:
        """Wait until no backlog is left, at most for the limit; return the backlog."""
        until = ended + self._load.timeout_seconds + SETTLE_SECONDS
        await pacer.done()
        while True:
            left = await self._left()
            if not left or time.monotonic() > until:
                return left
            await asyncio.sleep(LOOK_SECONDS)

    async def _left(self) -> dict[str, int]:
        """Return what is not done, empty if all is."""
        headers = {"X-Internal-API-Key": self._load.internal_key, "X-Service-ID": "bench"}
        left = {
            "suggestions not stored": len(self._suggestions.waiting),
            "commands without a result": len(self._commands.waiting),
            **await backlog.in_store(self._looking),
            **await backlog.in_table(self._session, headers),
            **await backlog.unread(self._group, self._load.partitions),
        }
        return {what: count for what, count in left.items() if count}

    async def _result(self, began: float, ended: float, left: dict[str, int]) -> MixedResult:
        lateness: dict[str, Any] = dict(await self._looking.fetchrow(_LATENESS) or {})
        times = sorted(self._tally.seconds)
        return MixedResult(
            began=began,
            ended=ended,
            settled_seconds=time.monotonic() - ended,
            done={
                "requests": len(times),
                "batches": self._suggestions.sent,
                "commands": self._commands.sent,
                "decisions": lateness.pop("decisions"),
            },
            request_seconds=[quantile(times, share) for share in (0.5, 0.95, 0.99)],
            lateness=lateness,
            faults=self._tally.faults,
            left=left,
        )
