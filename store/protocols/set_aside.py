"""Messages that the broker refuses for good: what people see of them, and decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SetAsideMessage:
    """A refused message; `number` is its id in the outbox, `size` in bytes, `reason` a Refusal.

    `event_id` is None for a dead letter whose message has none. `waiting` are the later messages
    of its topic and key. Another version may know other reasons.
    """

    number: int
    topic: str
    key: bytes | None
    event_id: UUID | None
    size: int
    reason: str
    since: datetime
    waiting: int


@dataclass(frozen=True, slots=True)
class SetAsideCounts:
    """How many messages are refused, and how many wait behind these."""

    refused: int
    waiting: int


class SetAsideProtocol(Protocol):
    """The messages that are set aside."""

    async def refused(self) -> list[SetAsideMessage]:
        """Return the refused messages, oldest first."""

    async def counts(self) -> SetAsideCounts:
        """Return how many messages are set aside."""

    async def retry(self, numbers: Sequence[int]) -> list[int]:
        """Put refused messages, with those behind them, back into their places in the outbox.

        Returns those that were still there.
        """

    async def drop(self, numbers: Sequence[int]) -> list[int]:
        """Delete refused messages for good, and put back those behind them; returns as `retry`."""
