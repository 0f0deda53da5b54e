"""Whether the worker makes progress, and how its dependencies are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from agents.faust_support.stream_watch import STUCK_SECONDS, StreamWatch
from telemetry.health import OK, HealthReport

PROBE_SECONDS: Final = 1.0
#: An answer older than this is none: the probe hangs.
STALE_SECONDS: Final = 4.0
NOT_USED: Final = "not used"


class Probe:
    """Asks a dependency each second; its state can be read at any time without waiting."""

    def __init__(self, check: Callable[[], Awaitable[object]]) -> None:
        """`check` raises, or returns False, when the dependency is down."""
        self._check = check
        self._heard = 0.0
        self._up_since: float | None = None

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                up = await self._check() is not False
            except Exception:  # noqa: BLE001  # whatever it is, the dependency does not work
                up = False
            self._heard = time.monotonic()
            self._up_since = (self._up_since or self._heard) if up else None
            await asyncio.sleep(PROBE_SECONDS)

    def state(self) -> str:
        """Return "ok" or what is wrong."""
        if self._up_since is None:
            return "unreachable"
        if time.monotonic() - self._heard > STALE_SECONDS:
            return "does not answer"
        return OK

    def up_seconds(self) -> float:
        """Return for how long it has been up."""
        up = self._up_since is not None and self.state() == OK
        return time.monotonic() - (self._up_since or 0.0) if up else 0.0


class WebHealth:
    """The health of a process that only answers HTTP: it needs the database and nothing else."""

    def __init__(self, database: Probe) -> None:
        self._database = database

    async def live(self) -> HealthReport:
        """Never fail: nothing here can get stuck for good."""
        return HealthReport(True, {}, {})  # noqa: FBT003  # the report's first member

    async def ready(self) -> HealthReport:
        """Ready with the database."""
        state = self._database.state()
        return HealthReport(state == OK, {}, {"database": state})

    async def full(self) -> HealthReport:
        """Say as well that the others are not used."""
        ready = await self.ready()
        others = dict.fromkeys(("kafka", "redis", "stream"), NOT_USED)
        return HealthReport(ready.ok, {}, {**ready.dependencies, **others})


class WorkerHealth:
    """Implements the health that the operations paths show."""

    def __init__(
        self, probes: Mapping[str, Probe], stream: StreamWatch, relay: Callable[[], float]
    ) -> None:
        """`probes`: database, kafka and redis; `relay` says for how long it has stood still."""
        self._probes = probes
        self._stream = stream
        self._relay = relay

    async def live(self) -> HealthReport:
        """Fail only where a restart would help: not for a dependency that is down."""
        blameless = min(self._probes[name].up_seconds() for name in ("kafka", "database"))
        checks = {
            "stream_progress": _lasting(
                self._stream.silence_seconds(), blameless, "nothing from Kafka"
            ),
            "stream_membership": _lasting(
                self._stream.alone_seconds(), blameless, "no coordinator of the consumer group"
            ),
            "relay_progress": _lasting(self._relay(), blameless, "the relay stands still"),
        }
        return HealthReport(set(checks.values()) == {OK}, checks, {})

    async def ready(self) -> HealthReport:
        """Ready with the database, once the stream has started.

        Kafka may go away after that: requests are still answered, and their events follow.
        """
        database = self._probes["database"].state()
        started = self._stream.started
        checks = {"stream_started": OK if started else self._stream.state()}
        return HealthReport(database == OK and started, checks, {"database": database})

    async def full(self) -> HealthReport:
        """Everything; Redis may be down, since what it carries is best effort."""
        live = await self.live()
        dependencies = {name: probe.state() for name, probe in self._probes.items()}
        dependencies["stream"] = self._stream.state()
        needed = [state for name, state in dependencies.items() if name != "redis"]
        ok = live.ok and all(state == OK for state in needed)
        return HealthReport(ok, live.checks, dependencies)


def _lasting(seconds: float, blameless: float, what: str) -> str:
    """Return what lasts too long, where that cannot be Kafka's or PostgreSQL's doing."""
    too_long = min(seconds, blameless) > STUCK_SECONDS
    return f"{what} for {seconds:.0f} s" if too_long else OK
