"""How many suggestions are stored per second, in batches of 30 essays."""

from bench import suggestions
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import SUGGESTIONS_TOPIC, Process, Rig
from bench.seed import CLASS_SIZE
from bench.sizes import Sizes
from bench.suggestions import SuggestionsLoad

FLOOR = "aiokafka + asyncpg, no rules"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Produce batches at once; measure until PostgreSQL has all of them."""
    for number in range(sizes.rounds):
        progress(f"suggestions, round {number + 1}: {SERVICE}")
        report.add_figures("suggestions", SERVICE, number, of_service(rig, sizes))
        progress(f"suggestions, round {number + 1}: {FLOOR}")
        report.add_figures("suggestions", FLOOR, number, _of_floor(rig, sizes))


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    return _figures(rig, rig.service(), load_of(rig, sizes.batches))


def load_of(rig: Rig, batches: int) -> SuggestionsLoad:
    """Return batches for the service."""
    return SuggestionsLoad(rig.bootstrap_servers, suggestions.TOPIC, rig.dsn, batches, CLASS_SIZE)


def _of_floor(rig: Rig, sizes: Sizes) -> Figures:
    servers, dsn = rig.floor_servers, rig.floor_dsn
    floor = rig.floor("suggestions", servers, SUGGESTIONS_TOPIC)
    load = SuggestionsLoad(servers, SUGGESTIONS_TOPIC, dsn, sizes.batches, CLASS_SIZE)
    return _figures(rig, floor, load)


def _figures(rig: Rig, target: Process, load: SuggestionsLoad) -> Figures:
    essays = load.batches * load.essays
    with rig.meter(target) as meter:
        seconds = rig.loader.run(suggestions.store, load)
        rig.settle(target, load.dsn)
    metrics = {"essays_per_s": essays / seconds, **meter.us_for_each(essays)}
    return Figures(metrics, {"messages_per_s": load.batches / seconds, **meter.notes(essays)})
