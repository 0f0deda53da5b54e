"""Whether a process makes progress, and the state of its dependencies."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Protocol

from agents.faust_support.stream_watch import STUCK_SECONDS, StreamWatch
from rules.errors import Cause, StoreBusyError, UnavailableError
from telemetry.health import OK, HealthReport
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from telemetry.status import Dependency

PROBE_SECONDS: Final = 1.0
#: After this long without an answer the probe hangs.
STALE_SECONDS: Final = 4.0

_log = get_logger(__name__)


class Probe:
    """Checks a dependency every second, so that its state can be read without waiting."""

    def __init__(self, check: Callable[[], Awaitable[object]], dependency: str) -> None:
        """`check` raises, or returns False, if the dependency is down."""
        self._check = check
        self._dependency = dependency
        self._heard = 0.0
        self._up_since: float | None = None
        self._fault: str = Cause.UNREACHABLE
        self._logged: str = OK
        self._since = self._heard_at = datetime.now(UTC)

    async def run(self) -> None:
        """Keep checking."""
        while True:
            await self._look()
            await asyncio.sleep(PROBE_SECONDS)

    async def _look(self) -> None:
        try:
            up = await self._check() is not False
        except StoreBusyError:  # says nothing about the database
            self._hear()
        except UnavailableError as error:
            self._note(error.cause, error, error.detail)
        except Exception as error:  # noqa: BLE001  # whatever the error, the dependency is down
            self._note(Cause.UNREACHABLE, error)
        else:
            self._note(OK if up else Cause.UNREACHABLE)

    def _note(self, fault: str, error: Exception | None = None, detail: str | None = None) -> None:
        """Keep the state, and log it where it has changed."""
        before = self.state()
        self._hear()
        if fault != before:
            self._since = self._heard_at
        self._fault = fault
        self._up_since = (self._up_since or self._heard) if fault == OK else None
        if fault == self._logged:
            return
        self._logged = fault
        log = _log.bind(dependency=self._dependency)
        if fault == OK:
            log.info("dependency back")
        else:
            log.warning("dependency away", reason=fault, detail=detail, exc_info=error)

    def _hear(self) -> None:
        self._heard, self._heard_at = time.monotonic(), datetime.now(UTC)

    def state(self) -> str:
        """Return "ok" or what is wrong."""
        if self._up_since is None:
            return self._fault
        if time.monotonic() - self._heard > STALE_SECONDS:
            return "does not answer"
        return OK

    def seen(self) -> Dependency:
        """Return the state, and since when it is that."""
        state = self.state()
        since = self._since if state in {OK, self._fault} else self._heard_at
        return Dependency(self._dependency, state, since)

    def up_seconds(self) -> float:
        """Return how long it has been up."""
        up = self._up_since is not None and self.state() == OK
        return time.monotonic() - (self._up_since or 0.0) if up else 0.0


def show_dependencies(probes: Mapping[str, Probe], metrics: Metrics) -> None:
    """Show as a metric whether each dependency is up."""
    for name, probe in probes.items():
        metrics.dependency_up.labels(name).set_function(_is_up(probe))


def _is_up(probe: Probe) -> Callable[[], float]:
    return lambda: float(probe.state() == OK)


class WebHealth:
    """The health of a process that only answers HTTP: it needs the database alone."""

    def __init__(self, database: Probe, outbox: Callable[[], str]) -> None:
        """`outbox` returns "ok", or what of it waits for a person."""
        self._database = database
        self._outbox = outbox

    async def live(self) -> HealthReport:
        """Report no failure: nothing here can get stuck for good."""
        return HealthReport(True, {}, {})  # noqa: FBT003  # the report's first member

    async def ready(self) -> HealthReport:
        """Ready with the database."""
        state = self._database.state()
        return HealthReport(state == OK, {}, {"database": state})

    async def full(self) -> HealthReport:
        """Report the other dependencies as not used."""
        ready = await self.ready()
        others = dict.fromkeys(("kafka", "redis", "stream"), "not used")
        report = HealthReport(ready.ok, {}, {**ready.dependencies, **others})
        return report.with_notice("outbox", self._outbox())


class TopicHealthProtocol(Protocol):
    """Whether the topics are as the worker needs them; each returns "ok" or what is wrong."""

    def topics(self) -> str:
        """Say what people have to mend."""

    def table_partitions(self) -> str:
        """Say what a restart mends."""


class WorkerHealth:
    """The health of a process with streams."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        stream: StreamWatch,
        relay: Callable[[], float],
        outbox: Callable[[], str],
        topics: TopicHealthProtocol,
        notices: Mapping[str, Callable[[], str]] = MappingProxyType({}),
    ) -> None:
        """`probes`: database, kafka and redis; `relay` returns for how long it has stalled.

        `outbox` as of WebHealth; `notices` are other checks of the same kind, by name: each returns
        "ok", or what waits for a person.
        """
        self._probes = probes
        self._topics = topics
        self._stream = stream
        self._relay = relay
        self._outbox = outbox
        self._notices = notices

    async def live(self) -> HealthReport:
        """Fail only if a restart would help: not for a dependency that is down."""
        up_seconds = min(self._probes[name].up_seconds() for name in ("kafka", "database"))
        checks = {
            "stream_progress": _lasting(
                self._stream.silence_seconds(), up_seconds, "nothing from Kafka"
            ),
            "stream_membership": _lasting(
                self._stream.alone_seconds(), up_seconds, "no coordinator of the consumer group"
            ),
            "relay_progress": _lasting(self._relay(), up_seconds, "the relay stands still"),
            "table_partitions": self._topics.table_partitions(),
        }
        return HealthReport(set(checks.values()) == {OK}, checks, {})

    async def ready(self) -> HealthReport:
        """Ready with the database, once the stream has started.

        If Kafka goes away later, requests are still answered and their events follow.
        """
        database = self._probes["database"].state()
        started = self._stream.started
        checks = {"stream_started": OK if started else self._stream.state()}
        return HealthReport(database == OK and started, checks, {"database": database})

    async def full(self) -> HealthReport:
        """Check everything; Redis may be down, since it carries best effort only."""
        live = await self.live()
        checks = {**live.checks, "topics": self._topics.topics()}
        dependencies = {name: probe.state() for name, probe in self._probes.items()}
        dependencies["stream"] = self._stream.state()
        needed = [state for name, state in dependencies.items() if name != "redis"]
        ok = all(state == OK for state in [*checks.values(), *needed])
        report = HealthReport(ok, checks, dependencies).with_notice("outbox", self._outbox())
        for name, state in self._notices.items():
            report = report.with_notice(name, state())
        return report


def _lasting(seconds: float, up_seconds: float, what: str) -> str:
    """Report a state that lasts too long, unless Kafka or PostgreSQL was down meanwhile."""
    too_long = min(seconds, up_seconds) > STUCK_SECONDS
    return f"{what} for {seconds:.0f} s" if too_long else OK
