"""What a process says of itself: its metrics in a few numbers."""

import math
from datetime import UTC, datetime

import pytest

from telemetry import status as status_module
from telemetry.health import OK, HealthReport
from telemetry.metrics import Metrics
from telemetry.status import Dependency, Lag, Letters, Requests, StatusReport

SINCE = datetime(2026, 11, 20, 8, tzinfo=UTC)
DATABASE = Dependency("database", "unreachable", SINCE)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(status_module, "time", clock)
    return clock


async def health() -> HealthReport:
    return HealthReport(ok=True, checks={"topics": OK}, dependencies={}, degraded=True)


def report(metrics: Metrics) -> StatusReport:
    probes = {"/readyz"}
    return StatusReport(metrics, "1.2.3", "all", health, lambda: [DATABASE], lambda: 7, probes)


async def test_it_is_the_metrics_of_the_process() -> None:
    metrics = Metrics()
    metrics.lag.add(lambda: {("b", 1): 4, ("b", 0): 2})
    metrics.lag.add(lambda: {("a", 3): 0})
    metrics.timers_held.set_function(lambda: 12)
    metrics.dead_letters_open.labels("x.dlt").set(3)
    metrics.dead_letters_open.labels("y.dlt").set(math.nan)
    for seconds in (0.01, 9.9, 10.1, 7200):
        metrics.timer_lateness.observe(seconds)
    found = await report(metrics).now()
    assert (found.version, found.role, found.health) == ("1.2.3", "all", "degraded")
    assert (found.checks, found.dependencies) == ({"topics": OK}, [DATABASE])
    assert found.lag == [Lag("a", 3, 0), Lag("b", 0, 2), Lag("b", 1, 4)]
    assert (found.changelog_lag, found.timers_held) == (7, 12)
    assert (found.decided, found.late) == (4, 2)
    assert found.dead_letters == [Letters("x.dlt", 3), Letters("y.dlt", None)]
    assert found.started_at.utcoffset() is not None


async def test_requests_are_those_of_the_last_minute(clock: Clock) -> None:
    metrics = Metrics()
    metrics.expect_requests("GET", "/v1/classes")
    reports = report(metrics)

    async def after(seconds: float, *statuses: int) -> Requests:
        for status in statuses:
            metrics.answered("GET", "/v1/classes", status, 0.01)
        clock.time += seconds
        return (await reports.now()).requests

    assert await after(30, 200, 201, 304, 404, 500, 503) == Requests(30, 3, 1, 2)
    metrics.answered("GET", "/readyz", 503, 0.01)
    assert await after(20, 200) == Requests(50, 4, 1, 2)
    assert await after(15, 429) == Requests(65, 4, 2, 2)
    assert await after(30) == Requests(65, 1, 1, 0)
    # Nobody has asked for an hour: it is that hour.
    assert await after(3600, 500) == Requests(3600, 0, 0, 1)


async def test_a_process_without_streams_has_none() -> None:
    found = await StatusReport(Metrics(), "1", "web", health, list).now()
    assert (found.lag, found.timers_held, found.changelog_lag) == ([], 0, 0)
    assert (found.decided, found.late, found.dead_letters) == (0, 0, [])
