"""What the composition root knows of a store's connections."""

from typing import Protocol


class PoolProtocol(Protocol):
    """Connections to the database."""

    @property
    def size(self) -> int:
        """Open connections."""

    @property
    def idle(self) -> int:
        """Open connections that are not in use."""

    async def close(self) -> None:
        """Close all of them."""


class NoPool:
    """The pool of a store that needs no connections."""

    size = 0
    idle = 0

    async def close(self) -> None:
        """Do nothing."""
