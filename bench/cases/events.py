"""How many events per second leave the outbox for Kafka."""

from bench import events
from bench.events import EventLoad
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import EVENTS_TOPIC, Rig
from bench.sizes import Sizes

FLOOR = "bare aiokafka producer"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let events wait in the outbox; measure from waking the service until it is empty."""
    for number in range(sizes.rounds):
        service = rig.service()
        port, servers = service.port, rig.bootstrap_servers
        load = EventLoad(rig.dsn, port, servers, EVENTS_TOPIC, sizes.events)
        progress(f"events, round {number + 1}: {SERVICE}")
        cpu = service.cpu_seconds
        seconds = rig.loader.run(events.relay, load)
        _add(report, SERVICE, number, load, seconds, service.cpu_seconds - cpu)
        service.await_quiet()
        progress(f"events, round {number + 1}: {FLOOR}")
        _add(report, FLOOR, number, load, *rig.loader.run(events.produce, load))


def _add(
    report: Report, side: str, number: int, load: EventLoad, seconds: float, cpu_seconds: float
) -> None:
    metrics = {
        "events_per_s": load.count / seconds,
        "cpu_ms_per_event": cpu_seconds * 1000 / load.count,
    }
    report.add(Measurement("events", side, number + 1, metrics))
