"""How far the consumed topics have been stored."""

from typing import Protocol


class ProgressProtocol(Protocol):
    """Reads progress, which is written in the transaction that stores consumed messages."""

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        """Return a group's progress: the next offset of each partition."""

    async def forget(self, group: str, topic: str) -> None:
        """Set a group's progress to the beginning of each partition: the topic is another one."""
