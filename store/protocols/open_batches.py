"""Open batches in which nobody decides any more."""

from typing import Protocol

from rules.open_batches import Settled


class OpenBatchesProtocol(Protocol):
    """Closes open batches, each in a transaction of its own, with its one event.

    Batches that another worker is closing at this moment are left out; one that cannot be closed
    does not keep the others open.
    """

    async def settle(self, limit: int) -> list[Settled]:
        """Close at most `limit` batches whose class is gone; costs little if there are none."""

    async def settle_idle(self, limit: int) -> list[Settled]:
        """Close at most `limit` batches that wait for nobody. Looks at every open batch."""
