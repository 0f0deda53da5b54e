"""How late the clock decides, by PostgreSQL's clock."""

from collections.abc import Sequence

from bench import suggestions, timeouts
from bench.http_load import quantile
from bench.report import SERVICE, Figures, Report, progress
from bench.rig import Rig
from bench.sizes import Sizes
from bench.suggestions import SuggestionsLoad
from bench.timeouts import ClockLoad

FLOOR = "asyncpg update loop"


class EarlyError(Exception):
    """The clock decided before the deadline, or not at all."""


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Let deadlines pass one after the other, each of a batch of one essay."""
    for number in range(sizes.long_rounds):
        progress(f"lateness, round {number + 1}: {SERVICE}")
        report.add_figures("lateness", SERVICE, number, of_service(rig, sizes))
        progress(f"lateness, round {number + 1}: {FLOOR}")
        floor = ClockLoad(rig.floor_dsn, sizes.timeouts, sizes.spread_seconds)
        late = rig.loader.run(timeouts.decide, floor)
        report.add_figures("lateness", FLOOR, number, _figures(late))


def of_service(rig: Rig, sizes: Sizes) -> Figures:
    """Measure the service once."""
    rig.service(sizes.timeout_seconds / 3600).await_idle()
    return _figures(rig.loader.run(suggestions.await_decisions, _load(rig, sizes)))


def _load(rig: Rig, sizes: Sizes) -> SuggestionsLoad:
    servers, count, spread = rig.bootstrap_servers, sizes.timeouts, sizes.spread_seconds
    return SuggestionsLoad(servers, suggestions.TOPIC, rig.dsn, count, 1, spread)


def _figures(late: Sequence[float]) -> Figures:
    if not late or late[0] < 0:
        raise EarlyError(f"{len(late)} decisions, the earliest {late[:1]} s after its time")
    ms = [seconds * 1000 for seconds in late]
    metrics = {"p50_ms": quantile(ms, 0.5), "p99_ms": quantile(ms, 0.99), "max_ms": ms[-1]}
    return Figures(metrics, {"decisions": len(late)})
