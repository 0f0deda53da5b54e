"""When the clock decides, and what it decides."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from rules.models import BatchState, PendingBatch
from rules.timeouts import ESSAYS_AT_ONCE


@dataclass(frozen=True, slots=True)
class DecidedByClock:
    """The result of a call of `decide_due`: `essays` decided, the `lateness` of each in seconds.

    `left` are the batches that would have been too many for one transaction, in their order.
    """

    essays: int
    lateness: tuple[float, ...]
    left: tuple[UUID, ...] = ()


class TimerProtocol(Protocol):
    """The deadlines of batches."""

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        """Decide what is due in these batches by the database's clock.

        Takes batches from the front as long as they have at most `most` due essays together, but
        always the first one. Publishes the timer of each batch taken. Skips batches that another
        worker is deciding at this moment.
        """

    async def overdue(
        self, limit: int, grace_seconds: float, without: Collection[UUID] = ()
    ) -> list[UUID]:
        """Return batches that have been due for `grace_seconds`, longest first, `without` some."""

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        """Return batches with pending associations by ascending id, starting after `after`."""

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        """Publish the timers of these batches (armed or cleared)."""

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        """Return the states of these batches; unknown ones are left out."""
