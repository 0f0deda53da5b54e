"""How much memory a worker uses, idle and after some work."""

from bench import http_load, suggestions
from bench.cases.http import post_load
from bench.cases.suggestions import load_of
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import START_SECONDS, Process, Rig
from bench.sizes import Sizes

FLOOR = "bare Faust app"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure a worker after its start, and after it created students and stored suggestions."""
    rig.stop_service()
    service = rig.new_service("bench-memory")
    floor = rig.new_floor("discard_app", *_floor_arguments(rig))
    for number in range(sizes.long_rounds):
        for side, process in ((SERVICE, service), (FLOOR, floor)):
            progress(f"memory, round {number + 1}: {side}")
            process.start(START_SECONDS)
            process.await_idle()
            idle = process.memory_mib
            _work(rig, sizes, process, side)
            process.await_idle()
            metrics = {"idle_mib": idle, "after_load_mib": process.memory_mib}
            report.add(Measurement("memory", side, number + 1, metrics))
            process.stop()


def _work(rig: Rig, sizes: Sizes, process: Process, side: str) -> None:
    """Let the service do both; the bare app reads the same suggestions and drops them."""
    if side == SERVICE:
        rig.loader.run(http_load.load, post_load(process, sizes))
        rig.loader.run(suggestions.store, load_of(rig, sizes.batches))
    else:
        rig.loader.run(suggestions.send, load_of(rig, sizes.batches))


def _floor_arguments(rig: Rig) -> tuple[str, ...]:
    session, tables = str(rig.session_seconds), str(rig.folder / "bare")
    return rig.bootstrap_servers, session, "bench-bare", suggestions.TOPIC, tables
