"""What older versions left of UNKNOWN students, and still do beside this one during an upgrade."""

from typing import Protocol
from uuid import UUID

from rules.placeholders import Settled


class PlaceholderProtocol(Protocol):
    """Makes of UNKNOWN students what they are now, a few at a time. The clock waits for none."""

    async def settle(self, after: UUID | None, limit: int) -> Settled:
        """Look at up to `limit` students with addresses of the service, behind `after` by id.

        An UNKNOWN student that is as it was made becomes a placeholder; whoever else has such an
        address loses it. Students that another worker is settling are skipped.
        """

    async def withdraw(self, limit: int) -> list[UUID]:
        """Withdraw the pending suggestions of up to `limit` placeholders; return these."""
