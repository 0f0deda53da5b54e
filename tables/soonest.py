"""Picks the entries that fall due first out of any number of them, in bounded memory."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from tables.codec import DEADLINE
from tables.scan import Row

#: Sorts entries: the deadline, then the key.
Rank: TypeAlias = tuple[bytes, bytes]

LAST: Final[Rank] = (b"\xff" * 9, b"")


class Soonest:
    """Keeps the `limit` entries of lowest rank among those offered, up to and with `until`."""

    def __init__(self, limit: int, until: Rank = LAST) -> None:
        self._limit = limit
        self._bound = until
        self._kept: list[tuple[Rank, bytes, int]] = []
        self.truncated = False

    def offer(self, rows: Iterable[Row], partition: int) -> None:
        """Look at entries of a partition."""
        bound = self._bound
        self._kept += [
            (rank, value, partition)
            for key, value in rows
            if (rank := (value[DEADLINE], key)) <= bound
        ]
        if len(self._kept) > 2 * self._limit:
            self._cut()

    def found(self) -> Sequence[tuple[Rank, bytes, int]]:
        """Return rank, value and partition of what was kept, by rank."""
        self._cut()
        return self._kept

    def _cut(self) -> None:
        self._kept.sort()
        if len(self._kept) > self._limit:
            del self._kept[self._limit :]
            self._bound = self._kept[-1][0] if self._kept else self._bound
            self.truncated = True
