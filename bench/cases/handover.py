"""How long a worker that stops, dies or joins delays all messages, by the settings."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bench import handover
from bench.handover import HandoverLoad
from bench.report import Measurement, Report, progress
from bench.rig import START_SECONDS, Process, Rig
from bench.sizes import Sizes

PER_SECOND: Final = 40
#: Names of variants and their settings; the first has the service's defaults.
VARIANTS: Final[Mapping[str, Mapping[str, str]]] = {
    "service": {},
    "session 10 s": {"KAFKA_SESSION_TIMEOUT_SECONDS": "10"},
    "static members": {"KAFKA_GROUP_INSTANCE_ID": "worker-{place}"},
}
#: The share of the time at which each event happens.
STOP, JOIN, KILL, RETURN = 0.05, 0.25, 0.45, 0.8
#: Includes messages that a worker was handling, which were sent a moment before.
MARGIN: Final = 0.01
PHASES: Final = {
    "stop_max_s": (STOP - MARGIN, JOIN - MARGIN),
    "join_max_s": (JOIN - MARGIN, KILL - MARGIN),
    "kill_max_s": (KILL - MARGIN, RETURN - MARGIN),
    "return_max_s": (RETURN - MARGIN, 1.0),
}


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Send messages evenly while the second of two workers stops, dies and joins."""
    rig.stop_service()
    variants = list(VARIANTS.items())[: sizes.handover_variants]
    for number, (name, settings) in enumerate(variants):
        progress(f"handover: {name}")
        group = f"handover-{number}"
        session = {"KAFKA_SESSION_TIMEOUT_SECONDS": str(sizes.handover_session_seconds)}
        workers = [_worker(rig, group, place, session | dict(settings)) for place in range(2)]
        load = HandoverLoad(rig.dsn, rig.bootstrap_servers, PER_SECOND, sizes.handover_seconds)
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda worker: worker.start(START_SECONDS), workers))
                for worker in workers:
                    worker.await_idle()
                # No thread that ends may start the loader: it would end with that thread.
                played = pool.submit(_play, workers[1], sizes.handover_seconds)
                delays = rig.loader.run(handover.delays, load)
                played.result()
        finally:
            for worker in workers:
                worker.stop()
        report.add(Measurement("handover", name, 1, _metrics(delays, sizes)))


def _worker(rig: Rig, group: str, place: int, settings: Mapping[str, str]) -> Process:
    own = {name: value.format(place=place) for name, value in settings.items()}
    own["DATA_DIR"] = str(rig.data_dir(f"{group}-{place}"))
    return rig.new_service(group, f"{group}-{place}", **own)


def _play(worker: Process, seconds: float) -> None:
    began = time.monotonic()
    steps: Sequence[tuple[float, str, Callable[[], object]]] = (
        (STOP, "SIGTERM", worker.stop),
        (JOIN, "it joins again", lambda: worker.start(START_SECONDS)),
        (KILL, "kill -9", worker.kill),
        (RETURN, "it returns", lambda: worker.start(START_SECONDS)),
    )
    for share, what, act in steps:
        time.sleep(max(began + share * seconds - time.monotonic(), 0))
        progress(f"handover: {what}")
        act()


def _metrics(delays: Sequence[tuple[float, float]], sizes: Sizes) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, (start, end) in PHASES.items():
        of_phase = [d for sent, d in delays if start <= sent / sizes.handover_seconds < end]
        metrics[name] = max(of_phase, default=0.0)
    return metrics
