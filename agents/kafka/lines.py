"""What one call sends to one partition, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from agents.kafka.destination import Destination
from agents.kafka.parcels import Parcel
from store.protocols.outbox import NotArrivedError, Refusal


@dataclass(slots=True, eq=False)
class Line:
    """The parcels for one partition, in order, and what of them has not arrived.

    `settled` messages have arrived or are refused: always the first ones. `is_spoiled`: the
    producer counts a batch that the broker has refused.
    """

    destination: Destination
    parcels: Sequence[Parcel]
    settled: int = 0
    refused: dict[int, Refusal | None] = field(default_factory=dict)
    failed: dict[int, BaseException] = field(default_factory=dict)
    is_spoiled: bool = False

    def refuse(self, position: int, reason: Refusal | None) -> None:
        """Note that a message is refused, or that it is behind one that is."""
        self.refused[position] = reason
        self.settled += 1

    def fail(self, cause: BaseException) -> None:
        """Note why what is not settled has not arrived."""
        error = NotArrivedError(self.destination.topic, self.destination.partition, cause)
        positions = list(chain.from_iterable(parcel.positions for parcel in self.parcels))
        self.failed |= dict.fromkeys(positions[self.settled :], error)
