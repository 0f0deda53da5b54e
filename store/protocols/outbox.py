"""The messages that committed changes publish, and their way to Kafka."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from rules.models import OutboxMessage
from rules.values import dataclass


class Refusal(StrEnum):
    """Why the broker never takes a message as it is."""

    TOO_LARGE = "too_large"
    INVALID = "invalid_record"


class NotArrivedError(Exception):
    """A message has not arrived in a topic's partition, if that is known; its cause says why."""

    def __init__(
        self, topic: str, partition: int | None = None, cause: BaseException | None = None
    ) -> None:
        super().__init__(topic, partition)
        self.__cause__ = cause
        self.topic = topic
        self.partition = partition


@dataclass(frozen=True, slots=True)
class Unsent:
    """What the broker does not have of some messages, by their position.

    `refused`: for good, or None for a later one of its topic and key, which would otherwise come
    first. `failed`: has not arrived, though it may yet; it is sent again later, with what follows
    it in its shard.
    """

    refused: Mapping[int, Refusal | None] = field(default_factory=dict)
    failed: Mapping[int, BaseException] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pack:
    """Messages of one shard that one statement committed, in their order.

    `id` is the number of the first message, the others have the numbers after it. Ids rise in
    commit order per key. `held`: positions of messages of whose topic and key an earlier one is set
    aside, so that they have to wait, too.
    """

    shard: int
    id: int
    messages: Sequence[OutboxMessage]
    held: frozenset[int] = frozenset()


class OutboxLease(Protocol):
    """The right to publish some shards, held until the context ends."""

    @property
    def shards(self) -> frozenset[int]:
        """The shards that are leased: none, if nothing waits that nobody else has."""

    async def fetch(self) -> list[Pack]:
        """Return the first packs of each leased shard, by shard and id.

        Of each shard there is at least one, whatever its size, or up to packs.FETCHED_PACKS with no
        more than packs.FETCHED_BYTES.
        """

    async def keep(self) -> None:
        """Show that the worker is there: the lease of one that hangs ends. Raises if it has ended.

        To be called every few seconds between the other steps.
        """

    async def end(self, done: Sequence[Pack], set_aside: Mapping[int, Refusal | None]) -> None:
        """Forget packs of which nothing is left to send.

        Keep those of their messages that are set aside, by number, until people decide: refused
        ones with the reason, None for what is behind one. Takes effect when the lease ends without
        error.
        """


class OutboxProtocol(Protocol):
    """The messages that committed changes publish."""

    @property
    def most_leases(self) -> int:
        """How many leases one process may have at once, so that its other loops go on."""

    def lease(self, shards: Collection[int], most: int) -> AbstractAsyncContextManager[OutboxLease]:
        """Lease those of these shards in which something waits and that nobody else has.

        At most `most` of them, the first of `shards` first, and fewer where their first packs have
        more than packs.LEASED_BYTES.
        """

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may have been committed, at the latest after the timeout."""

    async def announce(self) -> None:
        """Notify other processes of commits until cancelled: for a process without a relay."""

    async def listen(self) -> None:
        """Make `wait` return for what other processes announce, until cancelled."""


class ClassEventPublisherProtocol(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> Unsent:
        """Send in order; return when the broker has all but those returned. Raises nothing."""

    async def reachable(self) -> bool:
        """Whether the broker answers."""

    async def close(self) -> None:
        """Stop; what is unsent stays in the outbox."""
