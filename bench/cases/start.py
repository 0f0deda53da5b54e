"""How long a worker takes to become ready."""

import time

from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import START_SECONDS, Process, Rig
from bench.sizes import Sizes
from rules import topics

FLOOR = "imports + a group join"
CONSUMED = (*topics.CONSUMED, topics.TIMERS)


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Start a worker of a new group with empty tables, stop it, and start it again."""
    rig.stop_service()
    for number in range(sizes.long_rounds):
        group = f"bench-start-{number}"
        progress(f"start, round {number + 1}: {SERVICE}")
        service = rig.new_service(group)
        _measure(report, SERVICE, number, service)
        progress(f"start, round {number + 1}: {FLOOR}")
        session = str(rig.session_seconds)
        arguments = (rig.bootstrap_servers, session, f"{group}-floor", *CONSUMED)
        _measure(report, FLOOR, number, rig.new_floor("group_member", *arguments))


def _measure(report: Report, side: str, number: int, process: Process) -> None:
    metrics = {"first_s": _started(process), "next_s": _started(process)}
    report.add(Measurement("start", side, number + 1, metrics))


def _started(process: Process) -> float:
    """Start and stop a process; return the seconds until it was ready."""
    began = time.monotonic()
    process.start(START_SECONDS)
    seconds = time.monotonic() - began
    process.stop()
    return seconds
