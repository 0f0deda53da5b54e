"""What a process knows of itself, in a few numbers, for those who operate the service."""

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from prometheus_client.metrics_core import Metric

from telemetry.health import HealthReport
from telemetry.metrics import Metrics

#: Requests are those of about the last minute, once somebody has asked before.
WINDOW_SECONDS: Final = 60.0
#: From here on a decision of the clock is late.
LATE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Dependency:
    """`state` is "ok" or what is wrong, `since` when; None: not since an instant that is known."""

    name: str
    state: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """Messages of a partition that the process reads and has not handled yet."""

    topic: str
    partition: int
    messages: int


@dataclass(frozen=True, slots=True)
class Letters:
    """Open dead letters of a topic, of the whole system; None: unknown."""

    topic: str
    open: int | None


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests answered within the last `seconds`: well, 4xx and 5xx."""

    seconds: float
    good: int
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class Status:
    """What a process knows of itself; `decided` by the clock since its start, `late` among them."""

    version: str
    role: str
    started_at: datetime
    health: str
    checks: dict[str, str]
    dependencies: list[Dependency]
    lag: list[Lag]
    changelog_lag: int
    timers_held: int
    decided: int
    late: int
    dead_letters: list[Letters]
    requests: Requests


_Counts = tuple[int, int, int]


class StatusReport:
    """Reports on this process."""

    def __init__(
        self,
        metrics: Metrics,
        version: str,
        role: str,
        health: Callable[[], Awaitable[HealthReport]],
        dependencies: Callable[[], Sequence[Dependency]],
        changelog_lag: Callable[[], int] = lambda: 0,
        probes: Container[str] = (),
    ) -> None:
        """`changelog_lag` is 0 in a process without a table.

        `probes` are routes of which a 503 is an answer that fails nobody.
        """
        self._metrics = metrics
        self._version = version
        self._role = role
        self._health = health
        self._dependencies = dependencies
        self._changelog_lag = changelog_lag
        self._probes = probes
        self._started_at = datetime.now(UTC)
        self._counted: deque[tuple[float, _Counts]] = deque([(time.monotonic(), (0, 0, 0))])

    async def now(self) -> Status:
        """Return what this process knows now; it asks nobody."""
        metrics, health = self._metrics, await self._health()
        decided, late = _lateness(metrics.timer_lateness.collect())
        return Status(
            version=self._version,
            role=self._role,
            started_at=self._started_at,
            health=health.status,
            checks=dict(health.checks),
            dependencies=list(self._dependencies()),
            lag=_lag(metrics.lag.collect()),
            changelog_lag=self._changelog_lag(),
            timers_held=_one(metrics.timers_held.collect()),
            decided=decided,
            late=late,
            dead_letters=_letters(metrics.dead_letters_open.collect()),
            requests=self._requests(),
        )

    def _requests(self) -> Requests:
        """Compare with the oldest count of the last minute."""
        now, counts = time.monotonic(), self._answered()
        self._counted.append((now, counts))
        while self._counted[1][0] <= now - WINDOW_SECONDS:
            self._counted.popleft()
        since, before = self._counted[0]
        good, refused, failed = (one - other for one, other in zip(counts, before, strict=True))
        return Requests(round(now - since, 1), good, refused, failed)

    def _answered(self) -> _Counts:
        counts = [0, 0, 0]
        for labels, value in _samples(self._metrics.http_requests.collect(), "_total"):
            if labels["route"] not in self._probes:
                counts[max(int(labels["status"][0]) - 3, 0)] += int(value)
        good, refused, failed = counts
        return good, refused, failed


def _samples(families: Iterable[Metric], end: str = "") -> Iterator[tuple[dict[str, str], float]]:
    """Return labels and value of each sample whose name ends so."""
    for family in families:
        for sample in family.samples:
            if sample.name == f"{family.name}{end}":
                yield sample.labels, sample.value


def _one(families: Iterable[Metric]) -> int:
    [(_, value)] = _samples(families)
    return int(value)


def _lag(families: Iterable[Metric]) -> list[Lag]:
    found = [
        Lag(labels["topic"], int(labels["partition"]), int(value))
        for labels, value in _samples(families)
    ]
    return sorted(found, key=lambda one: (one.topic, one.partition))


def _letters(families: Iterable[Metric]) -> list[Letters]:
    return [
        Letters(labels["topic"], None if math.isnan(value) else int(value))
        for labels, value in _samples(families)
    ]


def _lateness(families: Iterable[Metric]) -> tuple[int, int]:
    """Return how many decisions there were, and how many were late."""
    buckets = {float(labels["le"]): value for labels, value in _samples(families, "_bucket")}
    decided = buckets[math.inf]
    return int(decided), int(decided - buckets[LATE_SECONDS])
