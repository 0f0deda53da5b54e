"""How late the clock decides while workers are killed, join and hang."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench import changelog, takeover
from bench.cases.lateness import EarlyError
from bench.changelog import ChangelogLoad
from bench.http_load import quantile
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import PARTITIONS, START_SECONDS, Process, Rig
from bench.sizes import Sizes
from bench.takeover import Outcome, TakeoverLoad
from tables.names import changelog_topic

#: The rate of storing the rows, which has to be done before the first deadline.
STORED_PER_SECOND: Final = 6000
LIMIT_SECONDS: Final = 300.0
#: The share of the time at which each event happens.
KILL, JOIN, HANG, WAKE = 0.15, 0.4, 0.65, 0.9
PHASES: Final = {
    "at_rest": (0.0, KILL),
    "after_kill": (KILL, JOIN),
    "after_join": (JOIN, HANG),
    "while_hung": (HANG, WAKE),
    "after_wake": (WAKE, 1.0),
}


class TwiceError(EarlyError):
    """A batch was closed twice or without its event."""


def two(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure with two workers."""
    _run(rig, sizes, report, 2)


def three(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure with three workers."""
    _run(rig, sizes, report, 3)


def _run(rig: Rig, sizes: Sizes, report: Report, count: int) -> None:
    rig.stop_service()
    case = f"takeover_{count}"
    workers = [_worker(rig, sizes, case, number) for number in range(count)]
    progress(f"{case}: making {sizes.takeover_timers:,} timers")
    lead = sizes.takeover_lead_seconds + sizes.takeover_timers / STORED_PER_SECOND
    timers = ChangelogLoad(
        rig.dsn,
        rig.bootstrap_servers,
        changelog_topic(case),
        PARTITIONS,
        sizes.takeover_timers,
        first_seconds=lead,
        spread_seconds=sizes.takeover_seconds,
    )
    rig.loader.run(changelog.fill, timers)
    load = TakeoverLoad(rig.dsn, rig.bootstrap_servers, PARTITIONS)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda worker: worker.start(START_SECONDS), workers))
        first, ahead = rig.loader.run(takeover.first_deadline, load)
        if ahead < 0:
            raise EarlyError(f"{case}: the deadlines came before the workers were there")
        _play(case, workers, ahead, sizes.takeover_seconds)
        came = rig.loader.run(takeover.outcome, load, first, LIMIT_SECONDS)
    finally:
        for worker in workers:
            worker.resume()
            worker.stop()
    _add(report, case, came, sizes)


def _worker(rig: Rig, sizes: Sizes, case: str, number: int) -> Process:
    settings = {
        "DATA_DIR": str(rig.data_dir(f"{case}-{number}")),
        "KAFKA_SESSION_TIMEOUT_SECONDS": str(sizes.takeover_session_seconds),
    }
    return rig.new_service(case, f"{case}-{number}", **settings)


def _play(case: str, workers: Sequence[Process], ahead: float, seconds: float) -> None:
    """Kill, start and pause the workers at their times."""
    began = time.monotonic() + ahead
    steps: list[tuple[float, str, Callable[[], object]]] = [
        (KILL, "kill -9 of one", workers[-1].kill),
        (JOIN, "it joins again", lambda: workers[-1].start(START_SECONDS)),
        (HANG, "SIGSTOP of one", workers[0].pause),
        (WAKE, "it wakes up", workers[0].resume),
    ]
    for share, what, act in steps:
        time.sleep(max(began + share * seconds - time.monotonic(), 0))
        progress(f"{case}: {what}")
        act()


def _add(report: Report, case: str, came: Outcome, sizes: Sizes) -> None:
    late = sorted(seconds for _, seconds in came.decisions)
    if len(late) != sizes.takeover_timers or late[0] < 0:
        raise EarlyError(f"{case}: {len(late)} decisions, the earliest {late[:1]} s after its time")
    if came.closed_twice or came.missing:
        raise TwiceError(f"{case}: {came.closed_twice} closed twice, {came.missing} without event")
    metrics = {"p50_s": quantile(late, 0.5), "p99_s": quantile(late, 0.99), "max_s": late[-1]}
    for name, (start, end) in PHASES.items():
        of_phase = [s for due, s in came.decisions if start <= due / sizes.takeover_seconds < end]
        metrics[f"{name}_max_s"] = max(of_phase, default=0.0)
    report.add(Measurement(case, SERVICE, 1, metrics, {"decisions": len(late)}))
