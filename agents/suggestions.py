"""Takes match suggestions from Kafka into the store."""

from collections.abc import Sequence
from typing import Final

from agents.burying import bury, culprit, unreadable
from agents.messages import parse_suggestions
from agents.persistence import halving, persistently
from rules.dead_letters import DeadLetter
from rules.errors import ValidationFailedError
from rules.intake import Outcome
from rules.models import Delivery, Record
from store.protocols import AssociationRepositoryProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

AGENT: Final = "suggestions"

_log = get_logger(__name__)


class SuggestionsIntake:
    """Stores batches of records, in order, until they are stored."""

    def __init__(self, associations: AssociationRepositoryProtocol, metrics: Metrics) -> None:
        self._associations = associations
        self._metrics = metrics

    async def take(self, records: Sequence[Record]) -> None:
        """Store or bury every record; returns only when each is."""
        self._metrics.batch_size.labels(AGENT).observe(len(records))
        deliveries: list[Delivery] = []
        letters: list[DeadLetter] = []
        for record in records:
            try:
                deliveries.append(Delivery(record, parse_suggestions(record)))
            except ValidationFailedError as error:
                letters.append(unreadable(record, error))
        if letters:
            await self._bury(letters)
        if deliveries:
            await halving(deliveries, self._store, self._bury_culprit)

    async def _store(self, deliveries: Sequence[Delivery]) -> None:
        outcomes = await persistently(
            lambda: self._associations.store_suggestions(deliveries), AGENT, self._metrics
        )
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            self._tell(delivery, outcome)

    def _tell(self, delivery: Delivery, outcome: Outcome) -> None:
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

    async def _bury_culprit(self, delivery: Delivery, error: Exception) -> None:
        await self._bury([culprit(delivery.record, error)])

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        await bury(letters, AGENT, self._associations, self._metrics)
