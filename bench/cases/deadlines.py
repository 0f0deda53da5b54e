"""How late the clock decides while the service is busy storing suggestions."""

from typing import Final

from bench import deadlines, suggestions
from bench.cases.flood import FLOOR_ESSAYS, pending_load
from bench.cases.lateness import EarlyError
from bench.deadlines import DeadlinesLoad, DeadlinesResult
from bench.http_load import quantile
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import SUGGESTIONS_TOPIC, Rig
from bench.sizes import Sizes

FLOOR: Final = "update loop + an insert a message"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let deadlines pass one after the other, while suggestions arrive without a pause."""
    service = rig.service()
    service.await_idle()
    spread = sizes.deadlines_seconds
    progress(f"deadlines: {SERVICE}")
    load = pending_load(rig, sizes, service, spread)
    ours = DeadlinesLoad(load, rig.bootstrap_servers, suggestions.TOPIC)
    _add(report, SERVICE, sizes, rig.loader.run(deadlines.measure, ours))
    service.await_idle()
    progress(f"deadlines: {FLOOR}")
    servers = rig.floor_servers
    rig.floor("suggestions", servers, SUGGESTIONS_TOPIC)
    load = pending_load(rig, sizes, spread_seconds=spread)
    theirs = DeadlinesLoad(load, servers, SUGGESTIONS_TOPIC, FLOOR_ESSAYS)
    _add(report, FLOOR, sizes, rig.loader.run(deadlines.measure, theirs))


def _add(report: Report, side: str, sizes: Sizes, result: DeadlinesResult) -> None:
    late = result.lateness
    wanted = sizes.due_essays // sizes.batch_essays * sizes.batch_essays
    if len(late) != wanted or late[0] < 0:
        raise EarlyError(f"{side}: {len(late)} decisions, the earliest {late[:1]} s after its time")
    ms = [seconds * 1000 for seconds in late]
    metrics = {
        "p50_ms": quantile(ms, 0.5),
        "p99_ms": quantile(ms, 0.99),
        "max_ms": ms[-1],
        "essays_stored_per_s": result.stored_per_second,
    }
    report.add(Measurement("deadlines", side, 1, metrics, {"decisions": len(late)}))
