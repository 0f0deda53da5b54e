"""Consumes match suggestions."""

from collections.abc import Sequence
from typing import Final

from agents.consumers.batch_consumer import BatchConsumer
from agents.consumers.elsewhere import report_elsewhere
from agents.consumers.replays import report_replays
from agents.consumers.retry import with_retry
from rules.messages.suggestions import parse_suggestions
from rules.models import Delivery, Record
from rules.progress import Progress
from rules.suggestions import Outcome
from store.protocols.inbox import InboxProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

AGENT: Final = "suggestions"

_log = get_logger(__name__)


class SuggestionsConsumer(BatchConsumer[Delivery]):
    """Stores match suggestions, or parks those that have to wait for a class or a student."""

    def __init__(self, inbox: InboxProtocol, metrics: Metrics) -> None:
        super().__init__(AGENT, inbox, metrics)

    def _read(self, record: Record) -> Delivery:
        return Delivery(record, parse_suggestions(record))

    async def _store(self, deliveries: Sequence[Delivery], reached: Sequence[Progress]) -> None:
        result = await with_retry(
            lambda: self._inbox.store_suggestions(deliveries, reached), AGENT, self._metrics
        )
        outcomes = result.outcomes
        report_elsewhere(result.elsewhere, self._metrics)
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            self._report(delivery, outcome)
        handled = zip(deliveries, outcomes, strict=True)
        replayed = [(delivery.record, outcome.value) for delivery, outcome in handled]
        await report_replays(replayed, AGENT, self._inbox, self._metrics)

    def _report(self, delivery: Delivery, outcome: Outcome) -> None:
        self._metrics.messages.labels(AGENT, outcome.value).inc()
        message = delivery.message
        _log.info(
            "suggestions taken",
            outcome=outcome.value,
            event_id=str(message.event_id),
            batch_id=str(message.batch_id),
            essays=len(message.results),
            correlation_id=str(message.trace.correlation_id),
        )
