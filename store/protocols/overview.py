"""What lies in the database at one moment, in numbers, for those who operate the service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

#: The clock may take so long: what is due since then is not late.
GRACE: Final = timedelta(seconds=10)

#: More of one kind are not counted: a queue of millions would take seconds.
MOST_COUNTED: Final = 10_000

#: Of each shard of the outbox so many packs, whose bytes have to be read, are counted.
MOST_PACKS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages that wait, and since when the oldest of them does.

    `is_more`: there may be more than were counted.
    """

    waiting: int = 0
    since: datetime | None = None
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What falls due in one hour, beginning at `hour` (UTC): essays, and in how many batches."""

    hour: datetime
    batches: int
    essays: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The database at the instant `now`, by its own clock.

    `outbox` has the shards that are not empty. `refused` messages are set aside with the `behind`
    that wait for them. `overdue_*`: undecided GRACE after their deadline; `due` has the others, by
    the hour.
    """

    now: datetime
    outbox: dict[int, Queue]
    refused: int
    behind: int
    parked: Queue
    open_batches: int
    overdue_batches: int
    overdue_essays: int
    due: Sequence[Due]


class OverviewProtocol(Protocol):
    """The database in numbers."""

    async def overview(self) -> Overview:
        """Return what is there now."""
