"""Whether the service endures a mixed load: its memory over time, and nothing left undone."""

import statistics
import time
from collections.abc import Sequence
from typing import Final

from bench.cases.lateness import EarlyError
from bench.mixed import load
from bench.mixed.load import MixedLoad, MixedResult
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import PARTITIONS, START_SECONDS, Rig
from bench.sampler import Sampler
from bench.sizes import Sizes
from bench.worlds import World, world
from devstack.process import DevstackError

SAMPLES: Final = 1200
REPORT_SECONDS: Final = 30.0
#: Until this share of the time the pool, the caches and the heap still fill up.
WARM: Final = 0.1
#: A figure at one moment is the median over this share of the time.
WINDOW: Final = 0.05
SECONDS_AN_HOUR: Final = 3600.0
SHOWN: Final = 5

_PENDING: Final = "select count(*) from associations where status = 'pending_validation'"


class LeftBehindError(EarlyError):
    """An answer was wrong, or something was not done at the end."""


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Load a separate service, whose memory has nothing from other cases."""
    rig.stop_service()
    hours = sizes.mixed_timeout_seconds / SECONDS_AN_HOUR
    with world(rig, "mixed", TIMEOUT_HOURS=str(hours)) as there:
        there.service.start(START_SECONDS)
        there.service.await_idle()
        progress(f"mixed: {sizes.mixed_seconds / 60:.3g} minutes")
        given = MixedLoad(
            there.dsn,
            there.service.port,
            rig.internal_key,
            there.bootstrap_servers,
            "mixed",
            PARTITIONS,
            sizes.mixed_seconds,
            sizes.mixed_timeout_seconds,
        )
        with MemoryWatch(rig, there, sizes.mixed_seconds) as watch:
            cpu = there.service.cpu_seconds
            result = rig.loader.run(load.play, given)
            cpu = there.service.cpu_seconds - cpu
        report.add(_measurement(result, watch.samples, cpu))
        _judge(result)


class MemoryWatch(Sampler):
    """Samples the memory continuously, and reports progress now and then."""

    def __init__(self, rig: Rig, there: World, seconds: float) -> None:
        """Take the length of the load, over which the samples are spread."""
        super().__init__(seconds / SAMPLES)
        self._rig = rig
        self._there = there
        self._began = time.monotonic()
        self._reports = 0
        self.samples: list[tuple[float, float]] = []
        """Instants by `time.monotonic`, and MiB."""

    def sample(self) -> bool:
        """Sample the memory."""
        seconds = time.monotonic() - self._began
        try:
            self.samples.append((self._began + seconds, self._there.service.memory_mib))
        except DevstackError:  # the process has ended, which the load will notice
            return False
        if seconds // REPORT_SECONDS > self._reports:
            self._reports += 1
            self._report(seconds)
        return True

    def _report(self, seconds: float) -> None:
        dsn = self._there.dsn
        waiting, pending = self._rig.waiting(dsn), self._rig.fetchval(_PENDING, dsn=dsn)
        progress(
            f"mixed: {seconds:.0f} s, {self.samples[-1][1]:.1f} MiB, {waiting} rows in the outbox, "
            f"{pending} associations pending"
        )


def _measurement(
    result: MixedResult, samples: Sequence[tuple[float, float]], cpu_seconds: float
) -> Measurement:
    seconds = result.ended - result.began
    during = [((at - result.began) / seconds, mib) for at, mib in samples if at <= result.ended]
    middle = 0.5 - WINDOW / 2
    p50, p95, p99 = (one * 1000 for one in result.request_seconds)
    metrics = {
        "memory_start_mib": _around(during, WARM),
        "memory_middle_mib": _around(during, middle),
        "memory_end_mib": _around(during, 1 - WINDOW),
        "slope_mib_per_h": _slope(during, seconds),
        "requests_per_s": result.done["requests"] / seconds,
        "p95_ms": p95,
        "p99_ms": p99,
        "lateness_p99_ms": result.lateness["p99"] * 1000,
        "errors": len(result.faults),
        "left_behind": sum(result.left.values()),
    }
    notes = {
        "minutes": seconds / 60,
        "p50_ms": p50,
        "cpu_percent": 100 * cpu_seconds / (seconds + result.settled_seconds),
        "lateness_max_ms": result.lateness["most"] * 1000,
        "settled_seconds": result.settled_seconds,
        "memory_settled_mib": samples[-1][1],
        "memory_max_mib": max(mib for _, mib in samples),
    }
    return Measurement("mixed", SERVICE, 1, metrics, {**notes, **result.done})


def _around(during: Sequence[tuple[float, float]], start: float) -> float:
    """Return the median of the window that starts at a share of the time."""
    within = [mib for share, mib in during if start <= share <= start + WINDOW]
    return statistics.median(within)


def _slope(during: Sequence[tuple[float, float]], seconds: float) -> float:
    """Return the growth of the memory per hour, over the last half of the time."""
    last = [(share, mib) for share, mib in during if share >= 0.5]  # noqa: PLR2004  # a half
    per_share = statistics.linear_regression(*zip(*last, strict=True)).slope
    return per_share / seconds * SECONDS_AN_HOUR


def _judge(result: MixedResult) -> None:
    faults = [*result.faults[:SHOWN]]
    if len(result.faults) > SHOWN:
        faults.append(f"and {len(result.faults) - SHOWN} more errors")
    faults += [f"{count} {what} after the end" for what, count in result.left.items()]
    if result.lateness["least"] < 0:
        faults.append(f"the clock decided {-result.lateness['least']} s before the time")
    if faults:
        raise LeftBehindError("mixed: " + "; ".join(faults))
