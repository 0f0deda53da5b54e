"""How many suggestions are stored per second, in batches of 30 essays."""

from bench import suggestions
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import SUGGESTIONS_TOPIC, Process, Rig
from bench.seed import CLASS_SIZE
from bench.sizes import Sizes
from bench.suggestions import SuggestionsLoad

FLOOR = "aiokafka + an insert a message"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Produce batches at once; measure until PostgreSQL has all of them."""
    for number in range(sizes.rounds):
        service = rig.service()
        _measure(rig, report, number, service, load_of(rig, sizes.batches))
        servers, dsn = rig.bootstrap_servers, rig.floor_dsn
        floor = rig.floor("suggestions", servers, SUGGESTIONS_TOPIC)
        load = SuggestionsLoad(servers, SUGGESTIONS_TOPIC, dsn, sizes.batches, CLASS_SIZE)
        _measure(rig, report, number, floor, load)


def load_of(rig: Rig, batches: int) -> SuggestionsLoad:
    """Return batches for the service."""
    return SuggestionsLoad(rig.bootstrap_servers, suggestions.TOPIC, rig.dsn, batches, CLASS_SIZE)


def _measure(rig: Rig, report: Report, number: int, target: Process, load: SuggestionsLoad) -> None:
    side = SERVICE if load.topic == suggestions.TOPIC else FLOOR
    progress(f"suggestions, round {number + 1}: {side}")
    cpu = target.cpu_seconds
    seconds = rig.loader.run(suggestions.store, load)
    target.await_idle()
    metrics = {
        "essays_per_s": load.batches * load.essays / seconds,
        "cpu_ms_per_message": (target.cpu_seconds - cpu) * 1000 / load.batches,
    }
    notes = {"messages_per_s": load.batches / seconds}
    report.add(Measurement("suggestions", side, number + 1, metrics, notes))
