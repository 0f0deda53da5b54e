"""A run: a workload, faults that a seed chooses, time to settle, and what the checker says."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiohttp

from tests.faults.calls import Calls
from tests.faults.checking import Finding, check
from tests.faults.history import History
from tests.faults.injecting import FAULTS, Scene
from tests.faults.observing import observe
from tests.faults.recovery import Doctor, Watch
from tests.faults.rig import Rig, Setup
from tests.faults.sending import Sender, producer, started
from tests.faults.settling import settle
from tests.faults.workload.batches import Matching
from tests.faults.workload.commanding import Importer
from tests.faults.workload.roster import School, Teacher

TEACHERS: Final = 5
IMPORTERS: Final = 3
MATCHERS: Final = 2


@dataclass(frozen=True)
class Plan:
    """What a run is to be."""

    seed: int
    minutes: float
    faults: Sequence[str]
    workers: int = 3
    mixed: float = 0.3
    """How often two faults strike at once."""
    pace: float = 1.0
    """How long things are away, as a share of the usual."""
    rest_seconds: float = 5.0
    well_seconds: float = 180.0
    """How long the service may take to be well again."""
    breakage: str | None = None
    keep: bool = False


@dataclass(frozen=True)
class Strike:
    """A fault that was played: from when to when, and when the service was well again."""

    faults: tuple[str, ...]
    began: float
    ended: float
    hits: tuple[int, ...]
    well: float | None
    until: float
    """Until when its traces are to be looked for."""


class Person(Protocol):
    """Somebody who uses the service."""

    async def work(self) -> None:
        """Go on for ever."""


@dataclass
class Result:
    """What came of a run."""

    plan: Plan
    history: History
    strikes: list[Strike] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def say(text: str) -> None:
    """Tell how it goes."""
    print(f"faults: [{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)  # noqa: T201


async def run(plan: Plan) -> Result:
    """Carry out a plan."""
    began = time.monotonic()
    result = Result(plan, History())
    small = any(FAULTS[name].needs_small_disk for name in plan.faults)
    setup = Setup(plan.seed, plan.workers, breakage=plan.breakage, small_disk=small)
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
    """Play the faults under load, then look at what there is."""
    plan, clock = result.plan, asyncio.get_running_loop().time
    async with _clients(rig, result) as (calls, sender, watch):
        doctor = Doctor("läkare", calls, sender, watch)
        await doctor.prepare()
        async with _workload(rig, calls, sender):
            scene = Scene(rig, random.Random(plan.seed + 1), sender, plan.pace)
            chooser = Chooser(scene.rng, plan)
            deadline = clock() + plan.minutes * 60
            await doctor.examine(plan.well_seconds)
            while clock() < deadline:
                await _strike(scene, chooser.choose(), doctor, result)
                await asyncio.sleep(plan.rest_seconds)
        await rig.heal()
        say(f"settling after {len(result.history.ops)} operations")
        drift = await settle(rig, doctor, say)
        result.seen = calls.seen
    say("checking")
    world = await observe(rig.postgres.url, rig.bootstrap_servers, rig.setup.timeout_seconds, drift)
    result.findings = await asyncio.to_thread(check, result.history, world)


async def _strike(scene: Scene, names: tuple[str, ...], doctor: Doctor, result: Result) -> None:
    """Play one fault, or two at once, and wait until the service is well."""
    clock = asyncio.get_running_loop().time
    say(" + ".join(names))
    began = clock()
    hits = await asyncio.gather(*(FAULTS[name].play(scene) for name in names))
    ended = clock()
    well = await doctor.examine(result.plan.well_seconds)
    strike = Strike(names, began, ended, tuple(hits), well, clock())
    result.strikes.append(strike)
    state = "not well in time" if well is None else f"well after {well - ended:.1f} s"
    say(f"{' + '.join(names)}: {sum(hits)} in {ended - began:.1f} s, {state}")


@dataclass
class Chooser:
    """Chooses what is to happen next: at random, and everything once before anything twice."""

    rng: random.Random
    plan: Plan
    _left: list[str] = field(default_factory=list)

    def choose(self) -> tuple[str, ...]:
        """Return one fault, or two that befall different things."""
        if not self._left:
            self._left = self.rng.sample(self.plan.faults, len(self.plan.faults))
        first = self._left.pop()
        others = [name for name in self.plan.faults if FAULTS[name].of != FAULTS[first].of]
        if others and self.rng.random() < self.plan.mixed:
            return first, self.rng.choice(others)
        return (first,)


@asynccontextmanager
async def _clients(rig: Rig, result: Result) -> AsyncIterator[tuple[Calls, Sender, Watch]]:
    """Connect to the service as its users do."""
    clock = asyncio.get_running_loop().time
    ports = [worker.port for worker in rig.workers]
    rng = random.Random(result.plan.seed + 2)
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    watch = Watch(rig.bootstrap_servers, clock)
    async with aiohttp.ClientSession(connector=connector) as session:
        # It would repeat a PUT or a DELETE without an answer, and what it then said of the second
        # would be taken for the whole.
        session._retry_connection = False
        client = await started(producer(rig.bootstrap_servers))
        watching = asyncio.create_task(watch.follow())
        try:
            calls = Calls(session, ports, result.history, clock, rng)
            yield calls, Sender(client, result.history, clock), watch
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await client.stop()


@asynccontextmanager
async def _workload(rig: Rig, calls: Calls, sender: Sender) -> AsyncIterator[None]:
    """Have everybody at work."""
    school = School()
    people: list[Person] = [
        *(Teacher(f"lärare-{n}", calls, school) for n in range(TEACHERS)),
        *(Importer(f"skola-{n}", sender, school, calls.rng) for n in range(IMPORTERS)),
        *(Matching(sender, calls, school, rig.setup.timeout_seconds) for _ in range(MATCHERS)),
    ]
    working = [asyncio.create_task(person.work()) for person in people]
    try:
        yield
        for task in working:
            if task.done():
                task.result()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
