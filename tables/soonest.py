"""Selects the entries with the next deadlines out of any number, in bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from tables.codec import DEADLINE
from tables.scan import Row

#: Sorts entries: the deadline, then the key.
Rank: TypeAlias = tuple[bytes, bytes]

FIRST: Final[Rank] = (b"", b"")
LAST: Final[Rank] = (b"\xff" * 9, b"")


class Soonest:
    """Keeps the `limit` entries of lowest rank after `after` and up to `until`."""

    def __init__(
        self,
        limit: int,
        after: Rank = FIRST,
        until: Rank = LAST,
        without: Callable[[Rank], bool] | None = None,
    ) -> None:
        """`without` returns whether to skip an entry that would be kept."""
        self._limit = limit
        self._without = without
        self._after = after
        self._bound = until
        self._kept: list[tuple[Rank, bytes, int]] = []
        self.truncated = False

    def offer(self, rows: Iterable[Row], partition: int) -> None:
        """Consider entries of a partition."""
        after, bound = self._after, self._bound
        first, last = after[0], bound[0]
        # Most rows fail this check, which costs a third of comparing ranks.
        near = [row for row in rows if first <= row[1][DEADLINE] <= last]
        without = self._without
        self._kept += [
            (rank, value, partition)
            for key, value in near
            if after < (rank := (value[DEADLINE], key)) <= bound and not (without and without(rank))
        ]
        if len(self._kept) > 2 * self._limit:
            self._cut()

    def found(self) -> Sequence[tuple[Rank, bytes, int]]:
        """Return rank, value and partition of the kept entries, by rank."""
        self._cut()
        return self._kept

    def _cut(self) -> None:
        self._kept.sort()
        if len(self._kept) > self._limit:
            del self._kept[self._limit :]
            self._bound = self._kept[-1][0] if self._kept else self._bound
            self.truncated = True
