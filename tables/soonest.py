"""Selects the entries with the next deadlines out of any number, in bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from tables.codec import DEADLINE, readable
from tables.scan import Row

#: Sorts entries: the deadline, then the key.
Rank: TypeAlias = tuple[bytes, bytes]
#: An entry's rank, value and partition.
Found: TypeAlias = tuple[Rank, bytes, int]

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
        belongs: Callable[[Found], bool] | None = None,
    ) -> None:
        """`without` returns whether to skip an entry that would be kept.

        `belongs` is asked last, since it may take long: of those alone that nothing else excludes.
        """
        self._limit = limit
        self._without = without
        self._belongs = belongs
        self._after = after
        self._bound = until
        self._kept: list[Found] = []
        self.truncated = False

    def offer(self, rows: Iterable[Row], partition: int) -> None:
        """Consider rows of a partition; those that are no entries are left out."""
        after, bound = self._after, self._bound
        first, last = after[0], bound[0]
        # Most rows fail this check, which costs a third of comparing ranks.
        near = [row for row in rows if first <= row[1][DEADLINE] <= last]
        without = self._without
        self._kept += [
            (rank, value, partition)
            for key, value in near
            if after < (rank := (value[DEADLINE], key)) <= bound
            and readable(key, value)
            and not (without and without(rank))
        ]
        if len(self._kept) > 2 * self._limit:
            self._cut()

    def found(self) -> Sequence[Found]:
        """Return rank, value and partition of the kept entries, by rank."""
        self._cut()
        return self._kept

    def _cut(self) -> None:
        kept = sorted(self._kept)
        if self._belongs is not None:
            kept = list(islice(filter(self._belongs, kept), self._limit + 1))
        if len(kept) > self._limit:
            del kept[self._limit :]
            self._bound = kept[-1][0] if kept else self._bound
            self.truncated = True
        self._kept = kept
