"""How fast a full outbox is published, and with how much memory."""

import time
from typing import Final

from bench import events
from bench.costs import Meter
from bench.events import EventLoad
from bench.report import SERVICE, Figures, Measurement, Report, progress
from bench.rig import EVENTS_TOPIC, START_SECONDS, Rig
from bench.sizes import Sizes

FLOOR: Final = "bare aiokafka producer"
EMPTY: Final = "the same, nothing waits"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Fill the outbox; measure from waking the service until the outbox is empty."""
    for number in range(sizes.rounds):
        progress(f"backlog, round {number + 1}: {SERVICE}")
        report.add_figures("backlog", SERVICE, number, of_service(rig, sizes))
        progress(f"backlog, round {number + 1}: {FLOOR}")
        report.add_figures("backlog", FLOOR, number, _of_floor(rig, sizes))


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    service, load = rig.service(), _load(rig.bootstrap_servers, rig, sizes)
    with rig.filling(load.count) as commit:
        service.await_idle()
        with rig.meter(service) as meter:
            began = time.perf_counter()
            commit()
            events.wake(service.port)
            rig.loader.run(events.drain, load)
            seconds = time.perf_counter() - began
            service.await_idle()
    return _figures(load, seconds, meter)


def _of_floor(rig: Rig, sizes: Sizes) -> Figures:
    load = _load(rig.floor_servers, rig, sizes)
    with rig.meter(None) as meter:
        seconds = rig.loader.run(events.produce, load)
    return _figures(load, seconds, meter)


def _load(servers: str, rig: Rig, sizes: Sizes) -> EventLoad:
    return EventLoad(rig.dsn, servers, EVENTS_TOPIC, sizes.events)


def _figures(load: EventLoad, seconds: float, meter: Meter) -> Figures:
    metrics = {"events_per_s": load.count / seconds, **meter.us_for_each(load.count)}
    return Figures(metrics, meter.notes(load.count))


def memory(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Start a worker on an empty outbox, and on a very full one."""
    rig.stop_service()
    for number, (side, count) in enumerate(((EMPTY, 0), (SERVICE, sizes.backlog_rows))):
        progress(f"backlog_1m: {side}")
        with rig.filling(count) as commit:
            commit()
        worker = rig.new_service(f"bench-backlog-{number}")
        worker.start(START_SECONDS)
        peak, seconds = events.watch(rig.dsn, worker)
        worker.stop()
        metrics = {"peak_mib": peak}
        notes = {"rows": count, "rows_per_s": count / seconds}
        report.add(Measurement("backlog_1m", side, 1, metrics, notes))
