"""How fast a full outbox is published, and with how much memory."""

from typing import Final

from bench import events
from bench.events import EventLoad
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import EVENTS_TOPIC, START_SECONDS, Rig
from bench.sizes import Sizes

FLOOR: Final = "bare aiokafka producer"
EMPTY: Final = "the same, nothing waits"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Fill the outbox; measure from waking the service until the outbox is empty."""
    for number in range(sizes.rounds):
        service = rig.service()
        port, servers = service.port, rig.bootstrap_servers
        load = EventLoad(rig.dsn, port, servers, EVENTS_TOPIC, sizes.events)
        progress(f"backlog, round {number + 1}: {SERVICE}")
        cpu = service.cpu_seconds
        seconds = rig.loader.run(events.relay, load)
        _add(report, SERVICE, number, load, seconds, service.cpu_seconds - cpu)
        service.await_idle()
        progress(f"backlog, round {number + 1}: {FLOOR}")
        _add(report, FLOOR, number, load, *rig.loader.run(events.produce, load))


def _add(
    report: Report, side: str, number: int, load: EventLoad, seconds: float, cpu_seconds: float
) -> None:
    metrics = {
        "events_per_s": load.count / seconds,
        "cpu_ms_per_event": cpu_seconds * 1000 / load.count,
    }
    report.add(Measurement("backlog", side, number + 1, metrics))


def memory(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Start a worker on an empty outbox, and on a very full one."""
    rig.stop_service()
    for number, (side, count) in enumerate(((EMPTY, 0), (SERVICE, sizes.backlog_rows))):
        progress(f"backlog_1m: {side}")
        rig.loader.run(events.fill, rig.dsn, EVENTS_TOPIC, count)
        worker = rig.new_service(f"bench-backlog-{number}")
        worker.start(START_SECONDS)
        peak, seconds = events.watch(rig.dsn, worker)
        worker.stop()
        metrics = {"peak_mib": peak}
        notes = {"rows": count, "rows_per_s": count / seconds}
        report.add(Measurement("backlog_1m", side, 1, metrics, notes))
