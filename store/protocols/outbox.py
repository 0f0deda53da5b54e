"""The messages that committed changes publish, and their way to Kafka."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from rules.models import OutboxMessage


class Refusal(StrEnum):
    """Why the broker never takes a message as it is."""

    TOO_LARGE = "too_large"
    INVALID = "invalid_record"


#: Messages that were not sent, by their position: one that the broker refuses for good, or None for
#: a later one of the same topic and key, which would otherwise come first.
Unsent: TypeAlias = Mapping[int, Refusal | None]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message waiting to be published; ids rise in commit order per key.

    `held`: an earlier one of its topic and key is set aside, so that it has to wait, too.
    """

    id: int
    message: OutboxMessage
    held: bool = False


class OutboxLease(Protocol):
    """The right to publish one shard, held until the context ends."""

    async def fetch(self, limit: int) -> list[OutboxRow]:
        """Return the shard's first rows, by id."""

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that were published; takes effect when the lease ends without error."""

    async def set_aside(self, rows: Mapping[int, Refusal | None]) -> None:
        """Take rows out of the queue until people decide: refused ones, and None for held ones.

        Takes effect when the lease ends without error.
        """


class OutboxProtocol(Protocol):
    """The messages that committed changes publish."""

    @property
    def most_leases(self) -> int:
        """How many shards one process may lease at once, so that its other loops go on."""

    async def waiting_shards(self) -> list[int]:
        """Return the shards with rows to publish."""

    def lease(self, shard: int) -> AbstractAsyncContextManager[OutboxLease | None]:
        """Lease a shard; None if another worker has it."""

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may have been committed, at the latest after the timeout."""

    async def announce(self) -> None:
        """Notify other processes of commits until cancelled: for a process without a relay."""

    async def listen(self) -> None:
        """Make `wait` return for what other processes announce, until cancelled."""


class ClassEventPublisherProtocol(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[OutboxMessage], lane: int = 0) -> Unsent:
        """Send in order; return when the broker has all but those returned. Raises PublishError.

        Calls in one lane follow each other; lanes do not wait for each other.
        """

    async def reachable(self) -> bool:
        """Whether the broker answers."""

    async def close(self) -> None:
        """Stop; what is unsent stays in the outbox."""


class PublishError(Exception):
    """The broker did not take the messages; they are sent again later."""
