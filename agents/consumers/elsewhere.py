"""Reports essays that a message brings and another batch has."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from rules.suggestions import Elsewhere
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

#: A message may have thousands of them.
NAMED: Final = 20

_log = get_logger(__name__)


def report_elsewhere(found: Iterable[Elsewhere], metrics: Metrics) -> None:
    """Count these essays, and log the first of each message with their batches."""
    for one in found:
        metrics.essays_elsewhere.inc(len(one.batches))
        _log.warning(
            "essays left out, another batch has them",
            event_id=str(one.message.event_id),
            batch_id=str(one.message.batch_id),
            essays=len(one.batches),
            of_batches={str(e): str(b) for e, b in islice(one.batches.items(), NAMED)},
            correlation_id=str(one.message.trace.correlation_id),
        )
