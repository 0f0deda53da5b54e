"""How far the consumed topics have been stored."""

from typing import Protocol


class ProgressProtocol(Protocol):
    """How far the consumed topics have been stored.

    Written by whatever stores consumed messages, in the same transaction; read here.
    """

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        """Return how far a group has come: by partition, the offset that follows."""
