"""How soon a single message is stored, and how soon its event can be read."""

from collections.abc import Sequence

from bench import lone, suggestions
from bench.cases.commands import bare_floor
from bench.http_load import quantile
from bench.lone import LoneLoad, Waited
from bench.report import SERVICE, Measurement, Report, progress
from bench.rig import COMMANDS_TOPIC, EVENTS_TOPIC, SUGGESTIONS_TOPIC, Rig
from bench.sizes import Sizes
from rules import topics

FLOOR = "aiokafka + an insert"


def run(rig: Rig, sizes: Sizes, report: Report) -> None:
    """Send commands and suggestions one by one, with pauses."""
    count = sizes.lone_messages
    for number in range(sizes.long_rounds):
        servers = rig.bootstrap_servers
        progress(f"lone, round {number + 1}: {SERVICE}")
        rig.service().await_idle()
        orders = LoneLoad(servers, topics.COMMANDS, rig.dsn, count, topics.STUDENT_CREATED)
        proposals = LoneLoad(servers, suggestions.TOPIC, rig.dsn, count)
        _add(report, SERVICE, number, *_measured(rig, orders, proposals))
        progress(f"lone, round {number + 1}: {FLOOR}")
        bare_floor(rig)
        servers = rig.floor_servers
        rig.floor("suggestions", servers, SUGGESTIONS_TOPIC)
        orders = LoneLoad(servers, COMMANDS_TOPIC, rig.floor_dsn, count, EVENTS_TOPIC)
        proposals = LoneLoad(servers, SUGGESTIONS_TOPIC, rig.floor_dsn, count)
        _add(report, FLOOR, number, *_measured(rig, orders, proposals))
    rig.stop_floors()


def _measured(rig: Rig, orders: LoneLoad, proposals: LoneLoad) -> tuple[Waited, Waited]:
    return (
        rig.loader.run(lone.send_commands, orders),
        rig.loader.run(lone.send_suggestions, proposals),
    )


def _add(report: Report, side: str, number: int, orders: Waited, proposals: Waited) -> None:
    metrics = {
        **_quantiles("command", orders.to_commit),
        **_quantiles("suggestion", proposals.to_commit),
        **_quantiles("event", orders.to_event),
    }
    report.add(Measurement("lone", side, number + 1, metrics))


def _quantiles(name: str, times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {f"{name}_{which}_ms": quantile(ordered, share) for which, share in shares.items()}
