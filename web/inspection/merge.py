"""Puts together what the workers tell. Pure: it asks nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tables.entries import Holding, TableEntry
from web.inspection.parts import PagePart

Position = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class MergedPage:
    """Entries by ascending (`confirm_by`, `batch_id`), and behind which one the next page begins.

    `complete` is False where a worker did not answer, or nobody answered for a partition.
    """

    entries: Sequence[TableEntry]
    next: Position | None
    complete: bool


def position(entry: TableEntry) -> Position:
    """Return where an entry stands in the order."""
    return entry.confirm_by, entry.batch_id


def covered(holdings: Iterable[Holding], partitions: int) -> bool:
    """Tell whether these workers have the whole table."""
    held = {p for holding in holdings if holding.recovered for p in holding.partitions}
    return held.issuperset(range(partitions))


def owners(holdings: Iterable[Holding]) -> dict[int, str]:
    """Return the one worker that counts for each partition.

    During a rebalance two may claim one; it has to be the same one for every page, or else an
    entry would show twice. One that still recovers knows less than the one it takes over from.
    """
    found: dict[int, str] = {}
    for holding in sorted(holdings, key=lambda holding: (not holding.recovered, holding.worker)):
        for partition in holding.partitions:
            found.setdefault(partition, holding.worker)
    return found


def merge_pages(
    pages: Sequence[PagePart], limit: int
) -> tuple[Sequence[TableEntry], Position | None]:
    """Merge a page of each worker; return a page of all, and where the next one begins.

    Behind the end of a page that goes on nothing can be shown yet, whoever has it: there may be
    entries before it that were not told. So a page may be short, or even empty, without being
    the last one.
    """
    end = min((position(page.entries[-1]) for page in pages if page.more), default=None)
    counts = owners(page.holding for page in pages)
    found = {
        entry.batch_id: entry
        for page in pages
        for entry in page.entries
        if counts.get(entry.partition, page.holding.worker) == page.holding.worker
        and (end is None or position(entry) <= end)
    }
    shown = sorted(found.values(), key=position)
    if len(shown) > limit:
        return shown[:limit], position(shown[limit - 1])
    return shown, end
