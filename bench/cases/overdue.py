"""How fast the clock decides what it learns of from PostgreSQL alone, as after a loss of timers."""

from bench import overdue
from bench.cases.flood import pending_load
from bench.cases.lateness import EarlyError
from bench.pending import PendingLoad
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import EVENTS_TOPIC, Process, Rig
from bench.sizes import Sizes

FLOOR = "asyncpg + aiokafka, no rules"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let associations fall due at one instant, of which the table has nothing."""
    for number in range(sizes.few_rounds):
        progress(f"overdue, round {number + 1}: {SERVICE}")
        report.add_figures("overdue", SERVICE, number, of_service(rig, sizes))
        progress(f"overdue, round {number + 1}: {FLOOR}")
        floor = rig.floor("deciding", rig.bootstrap_servers, EVENTS_TOPIC)
        load = pending_load(rig, sizes)
        report.add_figures("overdue", FLOOR, number, _measured(rig, floor, load))


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    there = pending_load(rig, sizes)
    load = PendingLoad(rig.dsn, there.batches, there.essays, there.lead_seconds)
    return _measured(rig, rig.service(), load)


def _measured(rig: Rig, process: Process, load: PendingLoad) -> Figures:
    process.await_idle()
    with rig.meter(process) as meter:
        result = rig.loader.run(overdue.measure, load)
        rig.settle(process, load.dsn)
    if not result.decided or result.first_seconds < 0:
        raise EarlyError(f"{result.decided} decisions, the first {result.first_seconds} s late")
    rate = result.decided / result.seconds
    metrics = {"decided_per_s": rate, **meter.us_for_each(result.decided)}
    notes = {"decisions": result.decided, "first_seconds": result.first_seconds}
    return Figures(metrics, {**notes, **meter.notes(result.decided)})
