"""What makes a worker live, ready and healthy."""

import asyncio
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from agents.faust_support import stream_watch
from agents.faust_support.stream_watch import StreamWatch
from agents.jobs import health as health_module
from agents.jobs.health import Probe, WebHealth, WorkerHealth
from telemetry.health import OK
from telemetry.status import Dependency

TOPIC = "topic"


class Consumer:
    """The part of aiokafka's consumer that is looked at."""

    def __init__(self) -> None:
        self.heard: dict[TopicPartition, int] = {}
        self.held: set[TopicPartition] = set()
        self._coordinator = SimpleNamespace(coordinator_id=1)

    def assignment(self) -> set[TopicPartition]:
        return set(self.heard)

    def paused(self) -> set[TopicPartition]:
        return self.held

    def last_poll_timestamp(self, tp: TopicPartition) -> int:
        return self.heard[tp]


class App:
    """The flags of Faust's App."""

    def __init__(self) -> None:
        self.kafka = Consumer()
        self.consumer = SimpleNamespace(_thread=SimpleNamespace(_consumer=self.kafka))
        self.completed = asyncio.Event()
        self.tables = SimpleNamespace(recovery=SimpleNamespace(completed=self.completed))
        self.in_recovery = False
        self.rebalancing = False


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


class Fixture:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.app = App()
        self.up = {"database": True, "kafka": True, "redis": True}
        self.probes = {name: Probe(self._check(name), name) for name in self.up}
        self.relay_stands = 0.0
        watch = StreamWatch(self.app, frozenset({TOPIC}))
        self.outbox = "ok"
        self.notices = {"changes": "ok", "imports": "ok"}
        self.topics = SimpleNamespace(topics=lambda: OK, table_partitions=lambda: OK)
        self.health = WorkerHealth(
            self.probes,
            watch,
            lambda: self.relay_stands,
            lambda: self.outbox,
            self.topics,
            {name: partial(self.notices.__getitem__, name) for name in self.notices},
        )

    def _check(self, name: str) -> Any:  # noqa: ANN401
        async def check() -> bool:
            return self.up[name]

        return check

    async def probe(self) -> None:
        for probe in self.probes.values():
            task = asyncio.create_task(probe.run())
            await asyncio.sleep(0.01)
            task.cancel()


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> Fixture:
    clock = Clock()
    monkeypatch.setattr(health_module, "time", clock)
    monkeypatch.setattr(stream_watch, "time", clock)
    fixture = Fixture(clock)
    await fixture.probe()
    return fixture


async def test_a_worker_is_ready_with_its_database_once_the_stream_has_started(
    worker: Fixture,
) -> None:
    assert not (await worker.health.ready()).ok
    worker.app.completed.set()
    assert (await worker.health.ready()).ok
    worker.app.rebalancing = True
    assert (await worker.health.ready()).ok
    worker.up["database"] = False
    await worker.probe()
    assert not (await worker.health.ready()).ok


async def test_a_worker_without_partitions_is_ready_and_healthy(worker: Fixture) -> None:
    worker.app.completed.set()
    assert (await worker.health.ready()).ok
    assert (await worker.health.full()).ok


@pytest.mark.parametrize(
    ("away", "healthy"), [("database", False), ("kafka", False), ("redis", True)]
)
async def test_health_names_what_is_away(worker: Fixture, away: str, *, healthy: bool) -> None:
    worker.app.completed.set()
    worker.up[away] = False
    await worker.probe()
    report = await worker.health.full()
    assert report.ok is healthy
    assert report.dependencies[away] == "unreachable"


async def test_what_waits_for_a_person_degrades_the_health_and_nothing_else(
    worker: Fixture,
) -> None:
    worker.app.completed.set()
    report = await worker.health.full()
    assert (report.status, report.checks["outbox"]) == ("healthy", "ok")
    worker.outbox = "messages set aside"
    report = await worker.health.full()
    assert (report.ok, report.status) == (True, "degraded")
    assert report.checks["outbox"] == "messages set aside"
    worker.notices["imports"] = "an import has been waiting"
    report = await worker.health.full()
    assert report.checks["imports"] == "an import has been waiting"
    assert (report.status, report.checks["changes"]) == ("degraded", "ok")
    for other in (await worker.health.live(), await worker.health.ready()):
        assert (other.status, "outbox" in other.checks) == ("healthy", False)
    worker.up["kafka"] = False
    await worker.probe()
    report = await worker.health.full()
    assert (report.status, report.checks["outbox"]) == ("unhealthy", "messages set aside")


async def test_a_process_that_only_answers_http_tells_it_as_well(worker: Fixture) -> None:
    web = WebHealth(worker.probes["database"], lambda: worker.outbox)
    assert (await web.full()).status == "healthy"
    worker.outbox = "messages set aside"
    report = await web.full()
    assert (report.ok, report.status, dict(report.checks)) == (
        True,
        "degraded",
        {"outbox": "messages set aside"},
    )
    assert (await web.ready()).status == (await web.live()).status == "healthy"


async def test_an_answer_that_does_not_come_any_more_counts_as_none(worker: Fixture) -> None:
    worker.clock.time += health_module.STALE_SECONDS + 1
    assert worker.probes["database"].state() == "does not answer"


async def silence(worker: Fixture, seconds: float) -> None:
    await worker.health.live()
    worker.clock.time += seconds
    await worker.probe()


async def test_silence_that_nobody_else_explains_makes_a_worker_dead(worker: Fixture) -> None:
    worker.app.kafka.heard[TopicPartition(TOPIC, 0)] = 1
    await silence(worker, stream_watch.STUCK_SECONDS - 1)
    assert (await worker.health.live()).ok
    await silence(worker, 2)
    assert not (await worker.health.live()).ok
    worker.app.kafka.heard[TopicPartition(TOPIC, 0)] = 2
    assert (await worker.health.live()).ok


async def test_a_worker_that_its_group_has_lost_is_dead(worker: Fixture) -> None:
    coordinator: Any = worker.app.kafka._coordinator
    coordinator.coordinator_id = None
    await silence(worker, stream_watch.STUCK_SECONDS - 1)
    assert (await worker.health.live()).ok
    await silence(worker, 2)
    report = await worker.health.live()
    assert not report.ok
    assert "coordinator" in report.checks["stream_membership"]
    coordinator.coordinator_id = 1
    assert (await worker.health.live()).ok


async def test_a_worker_whose_relay_stands_still_is_dead(worker: Fixture) -> None:
    await silence(worker, stream_watch.STUCK_SECONDS + 1)
    assert (await worker.health.live()).ok
    worker.relay_stands = stream_watch.STUCK_SECONDS + 1
    report = await worker.health.live()
    assert not report.ok
    assert "relay" in report.checks["relay_progress"]
    worker.up["kafka"] = False
    await worker.probe()
    assert (await worker.health.live()).ok


@pytest.mark.parametrize("away", ["database", "kafka"])
async def test_silence_is_excused_while_a_dependency_is_away(worker: Fixture, away: str) -> None:
    worker.app.kafka.heard[TopicPartition(TOPIC, 0)] = 1
    worker.up[away] = False
    await silence(worker, stream_watch.STUCK_SECONDS + 1)
    assert (await worker.health.live()).ok


async def test_a_paused_partition_and_other_topics_are_not_listened_to(worker: Fixture) -> None:
    paused = TopicPartition(TOPIC, 1)
    worker.app.kafka.heard |= {paused: 1, TopicPartition("changelog", 0): 1}
    worker.app.kafka.held.add(paused)
    await silence(worker, stream_watch.STUCK_SECONDS + 1)
    assert (await worker.health.live()).ok


def since(seen: Dependency) -> datetime:
    assert seen.since is not None
    return seen.since


async def test_a_dependency_says_since_when_it_is_as_it_is(worker: Fixture) -> None:
    redis = worker.probes["redis"]
    up = redis.seen()
    assert (up.name, up.state) == ("redis", OK)
    await worker.probe()
    assert redis.seen() == up
    worker.up["redis"] = False
    await worker.probe()
    away = redis.seen()
    await worker.probe()
    assert redis.seen() == away
    assert (away.state, since(up) < since(away)) == ("unreachable", True)
    worker.up["redis"] = True
    await worker.probe()
    assert since(redis.seen()) > since(away)


async def test_a_dependency_that_does_not_answer_has_not_since_it_last_did(
    worker: Fixture,
) -> None:
    redis = worker.probes["redis"]
    first = redis.seen()
    await worker.probe()
    worker.clock.time += health_module.STALE_SECONDS + 1
    hung = redis.seen()
    assert (hung.state, since(hung) > since(first)) == ("does not answer", True)
    await worker.probe()
    assert (redis.seen().state, since(redis.seen()) > since(hung)) == (OK, True)
