"""How fast is decided what nothing has been told of: after an outage of the timers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bench import flood
from bench.cases.flood import pending_load
from bench.cases.lateness import EarlyError
from bench.pending import PendingLoad
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import DECISIONS_TOPIC, Process, Rig
from bench.sizes import Sizes

FLOOR: Final = "asyncpg + aiokafka, no rules"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let associations without timers fall due at one instant; measure from the first decided."""
    for number in range(sizes.few_rounds):
        progress(f"overdue, round {number + 1}: {SERVICE}")
        report.add_figures("overdue", SERVICE, number, of_service(rig, sizes))
        progress(f"overdue, round {number + 1}: {FLOOR}")
        floor = rig.floor("deciding", rig.floor_servers, DECISIONS_TOPIC)
        figures = _figures(rig, floor, pending_load(rig, sizes))
        report.add_figures("overdue", FLOOR, number, figures)


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    service = rig.service()
    service.await_idle()
    return _figures(rig, service, replace(pending_load(rig, sizes), dsn=rig.dsn))


def _figures(rig: Rig, process: Process, load: PendingLoad) -> Figures:
    there = rig.loader.run(flood.prepare, load)
    with rig.meter(process) as meter:
        late = rig.loader.run(flood.await_lateness, load, there)
        rig.settle(process, load.dsn)
    if not late or late[0] < 0:
        raise EarlyError(f"{len(late)} decisions, the earliest {late[:1]} s after its time")
    metrics = {"decided_per_s": _rate(late), **meter.us_for_each(len(late))}
    notes = {"first_s": late[0], "last_s": late[-1], **meter.notes(len(late))}
    return Figures(metrics, notes)


def _rate(late: Sequence[float]) -> float:
    """Return how many were decided per second, from the first transaction to the last."""
    after_first = sum(seconds > late[0] for seconds in late)
    return after_first / (late[-1] - late[0]) if after_first else 0.0
