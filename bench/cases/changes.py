"""What remembering each change costs where most is written: the service beside itself without."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from bench import http_load, suggestions
from bench.cases.http import post_load
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import START_SECONDS, Rig
from bench.seed import CLASS_SIZE
from bench.sizes import Sizes
from bench.suggestions import SuggestionsLoad
from bench.worlds import World, world

WITHOUT: Final = "service, CHANGES=false"
_WAL: Final = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Measure two services in turn; while one is busy the other is idle."""
    rig.stop_service()
    with ExitStack() as opened:
        sides = {
            SERVICE: opened.enter_context(world(rig, "changes")),
            WITHOUT: opened.enter_context(world(rig, "forgetful", CHANGES="false")),
        }
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one.service.start(START_SECONDS), sides.values()))
        for number in range(sizes.few_rounds):
            # The machine may be busier for the second, so the sides take turns.
            for side, there in list(sides.items())[:: -1 if number % 2 else 1]:
                progress(f"changes, round {number + 1}: {side}")
                figures = _students(rig, sizes, there) | _essays(rig, sizes, there)
                report.add(Measurement("changes", side, number + 1, figures))


def _students(rig: Rig, sizes: Sizes, there: World) -> dict[str, float]:
    there.service.await_idle()
    cpu, wal = there.service.cpu_seconds, _wal(rig)
    result = rig.loader.run(http_load.load, post_load(there.service, sizes))
    there.service.await_idle()
    return {
        "post_student_per_s": result.requests_per_s,
        "post_student_p95_ms": result.p95_ms,
        "post_student_cpu_ms": (there.service.cpu_seconds - cpu) * 1000 / result.answers,
        "post_student_wal_kib": (_wal(rig) - wal) / 1024 / result.answers,
    }


def _essays(rig: Rig, sizes: Sizes, there: World) -> dict[str, float]:
    load = SuggestionsLoad(
        there.bootstrap_servers, suggestions.TOPIC, there.dsn, sizes.batches, CLASS_SIZE
    )
    cpu, wal = there.service.cpu_seconds, _wal(rig)
    seconds = rig.loader.run(suggestions.store, load)
    there.service.await_idle()
    return {
        "essays_per_s": load.batches * load.essays / seconds,
        "message_cpu_ms": (there.service.cpu_seconds - cpu) * 1000 / load.batches,
        "message_wal_kib": (_wal(rig) - wal) / 1024 / load.batches,
    }


def _wal(rig: Rig) -> float:
    """Return how many bytes of write-ahead log the server has written, of all its databases."""
    return float(rig.fetchval(_WAL))
