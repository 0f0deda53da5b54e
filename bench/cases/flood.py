"""How fast the clock decides what falls due at once, and how that slows a teacher's reads."""

from typing import Final

from bench import flood, http_load, seed
from bench.cases.http import AIOHTTP_SQL, FLOORS, STUDENTS, target_of
from bench.cases.lateness import EarlyError
from bench.flood import FloodLoad, FloodResult
from bench.http_load import HttpLoad, quantile
from bench.pending import PendingLoad, Service
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import Process, Rig
from bench.sizes import Sizes

FLOOR: Final = "asyncpg update loop"
FLOOR_ESSAYS: Final = 1000
READERS: Final = 2
PAUSE_SECONDS: Final = 0.01
#: The least rate of storing rows and setting timers, in essays per second.
STORED_PER_SECOND: Final = 4000


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let associations fall due at one instant; read students before and until all are decided."""
    for number in range(sizes.few_rounds):
        progress(f"flood, round {number + 1}: {SERVICE}")
        report.add_figures("flood", SERVICE, number, of_service(rig, sizes))
        progress(f"flood, round {number + 1}: {FLOOR}")
        floor = target_of(rig, AIOHTTP_SQL)
        reads = _reads(floor, sizes, FLOORS[AIOHTTP_SQL])
        load = FloodLoad(pending_load(rig, sizes), reads, FLOOR_ESSAYS)
        report.add_figures("flood", FLOOR, number, _figures(rig.loader.run(flood.measure, load)))


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    service = rig.service()
    service.await_idle()
    load = FloodLoad(pending_load(rig, sizes, service), _reads(service, sizes))
    cpu = service.cpu_seconds
    result = rig.loader.run(flood.measure, load)
    return _figures(result, service.cpu_seconds - cpu)


def pending_load(
    rig: Rig, sizes: Sizes, service: Process | None = None, spread_seconds: float = 0.0
) -> PendingLoad:
    """Return associations for the service, or for a floor."""
    lead = sizes.lead_seconds + sizes.due_essays / STORED_PER_SECOND
    batches = sizes.due_essays // sizes.batch_essays
    if service is None:
        return PendingLoad(rig.floor_dsn, batches, sizes.batch_essays, lead, spread_seconds)
    worker = Service(service.port, rig.internal_key, rig.bootstrap_servers)
    return PendingLoad(rig.dsn, batches, sizes.batch_essays, lead, spread_seconds, worker)


def _reads(target: Process, sizes: Sizes, prefix: str = "") -> HttpLoad:
    """Return a modest load of reads, not enough to keep the service busy."""
    paths = [f"{prefix}{STUDENTS}/{seed.student_id(n)}" for n in range(seed.STUDENTS)]
    return HttpLoad(
        target.port,
        [http_load.get(path, seed.OWNER) for path in paths],
        200,
        sizes.rest_seconds,
        sizes.http_warm_seconds,
        READERS,
        PAUSE_SECONDS,
    )


def _figures(result: FloodResult, cpu_seconds: float = 0.0) -> Figures:
    late = result.lateness
    if not late or late[0] < 0:
        raise EarlyError(f"{len(late)} decisions, the earliest {late[:1]} s after its time")
    metrics = {
        "decided_per_s": len(late) / result.seconds,
        "get_p99_ms_rest": result.at_rest.p99_ms,
        "get_p99_ms": result.meanwhile.p99_ms,
    }
    notes = {
        "decisions": len(late),
        "seconds": result.seconds,
        "drained_seconds": result.drained_seconds,
        "lateness_p50_s": quantile(late, 0.5),
        "get_p50_ms_rest": result.at_rest.p50_ms,
        "get_p50_ms": result.meanwhile.p50_ms,
        "get_per_s": result.meanwhile.requests_per_s,
        "cpu_seconds": cpu_seconds,
    }
    return Figures(metrics, notes)
