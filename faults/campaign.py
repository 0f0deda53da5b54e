"""A run: a workload, faults chosen by a seed, time to settle, and the checker's findings."""

import asyncio
import contextlib
import gc
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TextIO

import aiohttp
import asyncpg
from aiokafka.errors import KafkaError

from devstack.process import DevstackError
from devstack.stack import RUN_DIR
from faults import schedule
from faults.calls import Calls
from faults.cancellation import cancel
from faults.checker import Finding, check
from faults.history import History
from faults.injectors import FAULTS, Scene
from faults.logs import skip_counts
from faults.observation import Log, ObservationError, observe
from faults.population import population
from faults.quiescence import await_quiescence
from faults.recovery import EventWatch, HealthCheck
from faults.rig import Rig, Setup
from faults.schedule import Step
from faults.sender import Sender, producer, started
from faults.told import Told, follow, follow_to_the_end
from faults.workload.roster import School

#: The parts of PostgreSQL's small disk: at rest, for a flooded outbox, for each operation.
DISK_MEGABYTES: Final = 640
FLOOD_MEGABYTES: Final = 3_000
OPERATION_BYTES: Final = 2_500
#: The results of this many seconds of commands may be outstanding.
OWING_SECONDS: Final = 4.0
#: A run that is stopped waits only for this long.
STOPPED_SECONDS: Final = 60.0
#: The errors of a fault after which the next one is still played.
FAILURES: Final = (DevstackError, OSError, asyncpg.PostgresError, KafkaError, TimeoutError)


@dataclass(frozen=True)
class Plan:
    """The plan of a run."""

    seed: int
    minutes: float
    """How long faults strike; the limit of a campaign."""
    faults: Sequence[str]
    campaign: bool = False
    """Whether every required fault is played, rather than a random choice."""
    operations: int = 0
    """The least number of operations, as far as the minutes allow."""
    rate: float = 100.0
    """The aim of operations per second."""
    workers: int = 3
    mixed: float = 0.3
    """How often two faults strike at once."""
    pace: float = 1.0
    """The length of outages, as a share of the usual."""
    rest_seconds: float = 5.0
    well_seconds: float = 180.0
    """The limit for the service to recover."""
    settle_seconds: float = 300.0
    """The same at the end."""
    breakage: str | None = None
    keep: bool = False

    @property
    def disk_megabytes(self) -> int | None:
        """The size of PostgreSQL's disk, None if no fault fills it."""
        if not any(FAULTS[name].needs_small_disk for name in self.faults):
            return None
        flood = FLOOD_MEGABYTES if "outbox_flood" in self.faults else 0
        operations = max(self.operations, self.rate * self.minutes * 60)
        return DISK_MEGABYTES + flood + int(operations * OPERATION_BYTES) // 2**20


@dataclass(frozen=True)
class Strike:
    """A fault that was played: its start and end, and when the service had recovered."""

    faults: tuple[str, ...]
    began: float
    ended: float
    hits: tuple[int, ...]
    well: float | None
    until: float
    """The end of the time in which findings belong to it."""
    failure: str | None = None
    """Why it could not be completed."""


@dataclass
class Result:
    """The outcome of a run."""

    plan: Plan
    history: History
    strikes: list[Strike] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    kills: int = 0
    """How many workers were killed."""
    ended: int = 0
    """How many exited unasked, and were restarted as by a supervisor."""
    stopped: bool = False
    left: str | None = None
    """The steps of a campaign that were not played, since the time was over."""
    unchecked: str | None = None
    """Why the end could not be checked: then losses are unknown."""
    essays: int = 0
    logs: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    check_seconds: float = 0.0
    told: Told = field(default_factory=Told)
    """What somebody knows who reads the changes all the while."""


def say(text: str) -> None:
    """Report progress."""
    print(f"faults: [{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


async def run(plan: Plan) -> Result:
    """Run a plan."""
    began = time.monotonic()
    zero = datetime.now(UTC) - timedelta(seconds=asyncio.get_running_loop().time())
    result = Result(plan, History(zero))
    setup = Setup(
        plan.seed,
        plan.workers,
        breakage=plan.breakage,
        disk_megabytes=plan.disk_megabytes,
        failovers=any(FAULTS[name].moves_postgres for name in plan.faults),
    )
    with Rig(setup) as rig:
        say(f"seed {plan.seed}: starting {plan.workers} workers in {rig.folder.name}")
        try:
            await rig.start()
            await _play(rig, result)
        finally:
            result.seconds = time.monotonic() - began
            await rig.stop(keep=plan.keep or bool(result.findings))
        if result.findings:
            say(f"data and logs are kept in .run/faults/{rig.folder.name}")
    return result


async def _play(rig: Rig, result: Result) -> None:
    """Play the faults under load, then check."""
    plan = result.plan
    async with _clients(rig, result) as (calls, sender, watch):
        health = HealthCheck("läkare", calls, sender, watch)
        await health.prepare()
        with _stopping() as stopping:
            async with _workload(rig, calls, sender, plan.rate), _following(calls, result.told):
                scene = Scene(
                    rig, random.Random(plan.seed + 1), sender, health, plan.pace, stopping
                )
                await health.await_healthy(plan.well_seconds)
                await Director(scene, health, result).direct()
            result.stopped = stopping.is_set()
            result.kills = sum(worker.kills for worker in rig.workers)
            try:
                await _conclude(rig, health, result)
            except (*FAILURES, ObservationError) as error:
                # More than an hour's work still gets a table, which says that nothing was checked.
                result.unchecked = str(error) or type(error).__name__
                say(f"not checked: {result.unchecked}")


async def _conclude(rig: Rig, health: HealthCheck, result: Result) -> None:
    """Wait until everything has settled, and check it."""
    await rig.heal()
    say(f"settling after {result.history.operations:,} operations")
    drift = await await_quiescence(rig, health, say, result.plan.settle_seconds)
    last = await follow_to_the_end(health.calls, result.told)
    say(f"told of {last:,} changes, from the beginning {1 + result.told.anew} times")
    say("checking")
    await _check(rig, result, drift)


async def _check(rig: Rig, result: Result, drift: Mapping[str, int] | None) -> None:
    """Read everything, and compare it with the history."""
    began = time.monotonic()
    # Millions of objects that all stay: garbage collection would take longer than the rest.
    gc.disable()
    try:
        history = result.history
        world = await observe(
            rig.postgres.url,
            Log(rig.bootstrap_servers, history.undecodable, history.transactions),
            rig.setup.timeout_seconds,
            drift,
            result.told,
        )
        say(f"read {sum(map(len, world.messages.values())):,} messages")
        result.essays = sum(essay.method is not None for essay in world.essays.values())
        result.logs = skip_counts([w.log_path for w in rig.workers if w.log_path])
        result.findings = await asyncio.to_thread(check, result.history, world)
    finally:
        gc.enable()
    result.check_seconds = time.monotonic() - began


@dataclass
class Director:
    """Plays faults one after the other, and reports progress."""

    scene: Scene
    health: HealthCheck
    result: Result
    _beside: list[asyncio.Task[None]] = field(default_factory=list)
    _journal: TextIO | None = None

    async def direct(self) -> None:
        """Play faults until the time is over or a signal stops it."""
        plan, clock = self.result.plan, asyncio.get_running_loop().time
        deadline = clock() + plan.minutes * 60
        chooser = Chooser(self.scene.rng, plan)
        steps: list[Step] = []
        if plan.campaign:
            steps = schedule.campaign(random.Random(plan.seed + 3), plan.faults)
            say(schedule.described(steps))
        path = RUN_DIR / "faults" / f"strikes-seed-{plan.seed}.jsonl"
        with path.open("w", encoding="utf-8") as self._journal:
            while clock() < deadline and not self.scene.stopping.is_set():
                if not steps and self._is_done():
                    break
                step = steps.pop(0) if steps else Step(self._more(chooser))
                await self._step(step)
                self._tell(steps)
                await self.scene.sleep(plan.rest_seconds)
            for task in self._beside:
                await task
        if steps:
            self.result.left = schedule.described(steps)
            say(f"not played: {self.result.left}")

    def _is_done(self) -> bool:
        """Whether there is enough of what was asked for; other runs use all of their time."""
        plan = self.result.plan
        if self.result.history.operations < plan.operations:
            return False
        return self._kills() >= schedule.KILLS if plan.campaign else plan.operations > 0

    def _kills(self) -> int:
        return sum(worker.kills for worker in self.scene.rig.workers)

    def _more(self, chooser: "Chooser") -> tuple[str, ...]:
        if self.result.plan.campaign and self._kills() < schedule.KILLS:
            return (schedule.STORM,)
        return chooser.choose()

    def _tell(self, steps: Sequence[Step]) -> None:
        plan, operations = self.result.plan, self.result.history.operations
        text = f"{operations:,} operations, {len(self.scene.sender.waiting):,} commands wait"
        if plan.campaign:
            left = max(
                sum(step.seconds for step in steps), (plan.operations - operations) / plan.rate
            )
            text += f"; {self._kills()} kills; about {max(left, 0) / 60:.0f} minutes left"
        say(text)

    async def _step(self, step: Step) -> None:
        if step.beside:
            self._beside.append(asyncio.create_task(self._strike(step.faults)))
        else:
            await self._strike(step.faults)

    async def _strike(self, names: tuple[str, ...]) -> None:
        """Play one fault, or several at once, and wait until the service has recovered."""
        clock = asyncio.get_running_loop().time
        say(" + ".join(names))
        began, failure = clock(), None
        played = await asyncio.gather(
            *(FAULTS[name].play(self.scene) for name in names), return_exceptions=True
        )
        for name, hits in zip(names, played, strict=True):
            if isinstance(hits, BaseException):
                if not isinstance(hits, FAILURES):
                    raise hits
                failure = f"{name}: {hits or type(hits).__name__}"
                say(f"not played to its end: {failure}")
                with contextlib.suppress(*FAILURES):
                    await self.scene.rig.heal()
        ended = clock()
        well = await self._well(names)
        struck = tuple(0 if isinstance(hits, BaseException) else hits for hits in played)
        strike = Strike(names, began, ended, struck, well, clock(), failure)
        self.result.strikes.append(strike)
        self._take_down(strike)

    async def _well(self, names: Sequence[str]) -> float | None:
        """Wait until the service has recovered, longer after a fault that leaves a backlog."""
        limit = max(self.result.plan.well_seconds, *(FAULTS[n].well_seconds for n in names))
        if self.scene.stopping.is_set():
            limit = min(limit, STOPPED_SECONDS)
        supervising = asyncio.create_task(self._supervise())
        try:
            well = await self.health.await_healthy(limit)
        finally:
            await cancel([supervising])
        return well

    async def _supervise(self) -> None:
        """Restart workers that exit unasked, as a supervisor does."""
        while True:
            await asyncio.sleep(1)
            for worker in self.scene.rig.workers:
                if not self._runs_or_was_killed(worker.exit_code):
                    say(f"{worker.name} has ended by itself with {worker.exit_code}")
                    self.result.ended += 1
                    worker.begin()

    def _runs_or_was_killed(self, exit_code: int | None) -> bool:
        """Whether a worker runs, or was killed by a fault, which restarts it."""
        return exit_code is None or exit_code == -signal.SIGKILL

    def _take_down(self, strike: Strike) -> None:
        state = "not well in time"
        if strike.well is not None:
            state = f"well after {strike.well - strike.ended:.1f} s"
        name = " + ".join(strike.faults)
        say(f"{name}: {sum(strike.hits)} in {strike.ended - strike.began:.1f} s, {state}")
        if self._journal is not None:
            print(json.dumps(as_json(strike)), file=self._journal, flush=True)


def as_json(strike: Strike) -> dict[str, object]:
    """Return the record of a strike."""
    return {
        "strike": strike.faults,
        "injected": strike.hits,
        "seconds": round(strike.ended - strike.began, 1),
        "well_s": None if strike.well is None else round(strike.well - strike.ended, 2),
        "failure": strike.failure,
    }


@dataclass
class Chooser:
    """Chooses the next fault: at random, but each once before any twice.

    What damages Kafka's logs comes last of these; afterwards nothing kills Kafka any more.
    """

    rng: random.Random
    plan: Plan
    _left: list[str] = field(default_factory=list)
    _are_damaged: bool = False

    def choose(self) -> tuple[str, ...]:
        """Return one fault, or two with different targets."""
        names = [name for name in self.plan.faults if self._is_playable(name)]
        if not self._left:
            self._left = self.rng.sample(names, len(names))
            self._left.sort(key=lambda name: not FAULTS[name].damages_logs)
        first = self._left.pop()
        self._are_damaged |= FAULTS[first].damages_logs
        others = [name for name in names if self._goes_with(first, name)]
        if others and self.rng.random() < self.plan.mixed:
            return first, self.rng.choice(others)
        return (first,)

    def _goes_with(self, first: str, other: str) -> bool:
        alone = FAULTS[first].alone or FAULTS[other].alone
        return FAULTS[first].of != FAULTS[other].of and not alone

    def _is_playable(self, name: str) -> bool:
        return not (self._is_long(name) or (self._are_damaged and FAULTS[name].kills_kafka))

    def _is_long(self, name: str) -> bool:
        """Whether a fault takes too long to be repeated at the end of a campaign."""
        return self.plan.campaign and FAULTS[name].seconds > 60


@contextlib.contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """Let the first signal end the run early with its report, and the second end it at once."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running is not None
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        if stopping.is_set():
            # Not with an exception from the handler, which would be raised in unrelated code.
            running.cancel()
            return
        say("stopping early: once more to end at once")
        stopping.set()

    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield stopping
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.default_int_handler)


@asynccontextmanager
async def _clients(rig: Rig, result: Result) -> AsyncIterator[tuple[Calls, Sender, EventWatch]]:
    """Connect to the service like its users."""
    clock = asyncio.get_running_loop().time
    ports = [worker.port for worker in rig.workers]
    rng = random.Random(result.plan.seed + 2)
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        # It would repeat a PUT or a DELETE without an answer, and the second answer would be taken
        # for the outcome of both.
        session._retry_connection = False
        client = await started(producer(rig.bootstrap_servers))
        most = int(result.plan.rate * OWING_SECONDS)
        sender = Sender(client, result.history, clock, most)
        watch = EventWatch(rig.bootstrap_servers, clock, sender.waiting)
        watching = asyncio.create_task(watch.follow())
        try:
            yield Calls(session, ports, result.history, clock, rng), sender, watch
        finally:
            await cancel([watching])
            await client.stop()


@asynccontextmanager
async def _following(calls: Calls, told: Told) -> AsyncIterator[None]:
    """Read the changes during the context, beside what reads Kafka."""
    following = asyncio.create_task(follow(calls, told))
    try:
        yield
        if following.done():
            following.result()
    finally:
        await cancel([following])


@asynccontextmanager
async def _workload(rig: Rig, calls: Calls, sender: Sender, rate: float) -> AsyncIterator[None]:
    """Run the workload during the context."""
    people = population(calls, sender, School(), rig.setup.timeout_seconds, rate)
    working = [asyncio.create_task(person.work()) for person in people]
    try:
        yield
        for task in working:
            if task.done():
                task.result()
    finally:
        await cancel(working)
