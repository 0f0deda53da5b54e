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
from rules.progress import Progress
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

    async def take(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Store or bury every record; returns only when each is.

        `reached` is true once that is so, and is written with the last piece of the work.
        """
        self._metrics.batch_size.labels(AGENT).observe(len(records))
        deliveries: list[Delivery] = []
        letters: list[DeadLetter] = []
        for record in records:
            try:
                deliveries.append(Delivery(record, parse_suggestions(record)))
            except ValidationFailedError as error:
                letters.append(unreadable(record, error))
        if not deliveries:
            await self._bury(letters, reached)
            return
        if letters:
            await self._bury(letters)
        last = deliveries[-1]

        async def store(some: Sequence[Delivery]) -> None:
            await self._store(some, reached if some[-1] is last else ())

        async def bury_one(delivery: Delivery, error: Exception) -> None:
            letter = culprit(delivery.record, error)
            await self._bury([letter], reached if delivery is last else ())

        await halving(deliveries, store, bury_one)

    async def _store(self, deliveries: Sequence[Delivery], reached: Sequence[Progress]) -> None:
        outcomes = await persistently(
            lambda: self._associations.store_suggestions(deliveries, reached), AGENT, self._metrics
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

    async def _bury(self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()) -> None:
        await bury(letters, AGENT, self._associations, self._metrics, reached)
