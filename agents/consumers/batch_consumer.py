"""The base of the consumers that store batches of messages together with a topic's progress."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from agents.consumers.bisect import bisect
from agents.consumers.dead_letters import dead_letter, poison_letter, undecodable_letter
from rules.dead_letters.messages import DeadLetter, unreadable
from rules.errors import ValidationFailedError
from rules.models import Record
from rules.progress import Progress
from store.pace import Pace
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics


class Delivered(Protocol):
    """A parsed message."""

    @property
    def record(self) -> Record:
        """The record that carried it."""


DeliveryT = TypeVar("DeliveryT", bound=Delivered)


class BatchConsumer(ABC, Generic[DeliveryT]):
    """Stores or dead-letters batches of records, in order."""

    def __init__(self, agent: str, inbox: InboxProtocol, metrics: Metrics) -> None:
        self._agent = agent
        self._inbox = inbox
        self._metrics = metrics

    @abstractmethod
    def _read(self, record: Record) -> DeliveryT:
        """Parse a record. Raises ValidationFailedError."""

    @abstractmethod
    async def _store(self, deliveries: Sequence[DeliveryT], reached: Sequence[Progress]) -> None:
        """Store messages and progress in one transaction; waits for the database."""

    def _portions(self, deliveries: Sequence[DeliveryT]) -> Iterable[Sequence[DeliveryT]]:
        """Split the batch if it is too large for one transaction; no portion is empty."""
        return (deliveries,)

    async def handle(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        """Store or dead-letter every record, then return.

        `reached` is the progress after the whole batch, so it is written with the last portion.
        """
        if records:
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
            if record.undecodable:
                letters.append(undecodable_letter(record, record.undecodable))
                continue
            try:
                deliveries.append(self._read(record))
            except ValidationFailedError as error:
                letters.append(unreadable(record, error))
            await pace.keep()
        return deliveries, letters

    async def _dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> None:
        await dead_letter(letters, self._agent, self._inbox, self._metrics, reached)
