"""What the consumers have in common that store batches of messages with a topic's progress."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from agents.consumers.bisect import bisect
from agents.consumers.dead_letters import dead_letter, poison_letter, unreadable_letter
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


class BatchConsumer(ABC, Generic[DeliveryT]):
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
        """Split what would be too much for one transaction; never empty."""
        return (deliveries,)

    async def handle(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Store or dead-letter every record; returns only when each is.

        `reached` is true once that is so, and is written with the last piece of the work.
        """
        self._metrics.batch_size.labels(self._agent).observe(len(records))
        deliveries, letters = await self._read_all(records)
        if not deliveries:
            await self._dead_letter(letters, reached)
            return
        if letters:
            await self._dead_letter(letters)
        last = deliveries[-1]

        async def store(some: Sequence[DeliveryT]) -> None:
            await self._store(some, reached if some[-1] is last else ())

        async def poison(delivery: DeliveryT, error: Exception) -> None:
            letter = poison_letter(delivery.record, error)
            await self._dead_letter([letter], reached if delivery is last else ())

        for portion in self._portions(deliveries):
            await bisect(portion, store, poison)

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
                letters.append(unreadable_letter(record, error))
            await pace.keep()
        return deliveries, letters

    async def _dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> None:
        await dead_letter(letters, self._agent, self._inbox, self._metrics, reached)
