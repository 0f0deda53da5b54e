"""The keys of addresses in memory: no earlier version has filled it."""

from uuid import UUID

from rules.email_keys import Collision
from store.protocols.email_keys import Lacking, WithoutKey


class MemoryEmailKeys:
    """Implements EmailKeysProtocol."""

    async def fill(self, lacking: Lacking, begin: UUID, limit: int) -> UUID | None:  # noqa: ARG002  # there is nothing to do
        return None

    async def count(self) -> WithoutKey:
        return WithoutKey(unkeyed=0, colliding=0)

    async def collisions(self) -> list[Collision]:
        return []
