"""How far the consumed topics have been stored, in memory."""

from collections.abc import Iterable
from typing import Final

from rules.progress import Progress
from store.memory.state import MemoryStore


def keep(store: MemoryStore, progress: Iterable[Progress]) -> None:
    """Store progress, as the last step of the change that makes it true."""
    for one in progress:
        store.progress[one.group, one.topic, one.partition] = one.next_offset


class MemoryProgress:
    """Implements ProgressProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        return {
            partition: next_offset
            for (of_group, of_topic, partition), next_offset in self._store.progress.items()
            if (of_group, of_topic) == (group, topic)
        }

    async def forget(self, group: str, topic: str) -> None:
        for of_group, of_topic, partition in list(self._store.progress):
            if (of_group, of_topic) == (group, topic):
                self._store.progress[of_group, of_topic, partition] = 0
