"""What the agents have in common that store consumed messages, and how far these bring a topic."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from agents.consumers.dead_letters import bury, culprit, unreadable
from agents.consumers.retry import halving
from rules.dead_letters.messages import DeadLetter
from rules.errors import ValidationFailedError
from rules.models import Record
from rules.progress import Progress
from store.pace import Pace
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics


class Delivered(Protocol):
    """A message that was read, and the record that carried it."""

    @property
    def record(self) -> Record:
        """The record."""


DeliveryT = TypeVar("DeliveryT", bound=Delivered)


class Intake(ABC, Generic[DeliveryT]):
    """Stores batches of records, in order, until they are stored or among the dead letters."""

    def __init__(self, agent: str, inbox: InboxProtocol, metrics: Metrics) -> None:
        self._agent = agent
        self._inbox = inbox
        self._metrics = metrics

    @abstractmethod
    def _read(self, record: Record) -> DeliveryT:
        """Read a record. Raises ValidationFailedError where it cannot be read."""

    @abstractmethod
    async def _store(self, deliveries: Sequence[DeliveryT], reached: Sequence[Progress]) -> None:
        """Store messages and progress in one transaction; waits for the database."""

    def _portions(self, deliveries: Sequence[DeliveryT]) -> Iterable[Sequence[DeliveryT]]:
        """Part what would be too much for one transaction; never empty."""
        return (deliveries,)

    async def take(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Store or bury every record; returns only when each is.

        `reached` is true once that is so, and is written with the last piece of the work.
        """
        self._metrics.batch_size.labels(self._agent).observe(len(records))
        deliveries, letters = await self._read_all(records)
        if not deliveries:
            await self._bury(letters, reached)
            return
        if letters:
            await self._bury(letters)
        last = deliveries[-1]

        async def store(some: Sequence[DeliveryT]) -> None:
            await self._store(some, reached if some[-1] is last else ())

        async def bury_one(delivery: DeliveryT, error: Exception) -> None:
            letter = culprit(delivery.record, error)
            await self._bury([letter], reached if delivery is last else ())

        for portion in self._portions(deliveries):
            await halving(portion, store, bury_one)

    async def _read_all(
        self, records: Sequence[Record]
    ) -> tuple[list[DeliveryT], list[DeadLetter]]:
        deliveries: list[DeliveryT] = []
        letters: list[DeadLetter] = []
        pace = Pace()
        for record in records:
            try:
                deliveries.append(self._read(record))
            except ValidationFailedError as error:
                letters.append(unreadable(record, error))
            await pace.keep()
        return deliveries, letters

    async def _bury(self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()) -> None:
        await bury(letters, self._agent, self._inbox, self._metrics, reached)
