"""What operating the store needs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages in the outbox, seconds since the oldest, pending associations, parked messages."""

    outbox_depth: int
    outbox_age_seconds: float
    pending_associations: int
    parked_messages: int


@dataclass(frozen=True, slots=True)
class Turnover:
    """How many weeks of changes were made and dropped; `refused`: the account may make none."""

    made: int = 0
    dropped: int = 0
    refused: bool = False


class MaintenanceProtocol(Protocol):
    """What operating the store needs."""

    async def check(self) -> None:
        """Raise StoreUnavailableError, with its cause, unless changes can be stored."""

    async def ping(self) -> datetime:
        """Return the database's clock."""

    async def backlog(self) -> Backlog:
        """Return how much waits."""

    async def purge_inbox(self, older_than_days: int) -> int:
        """Forget which messages were handled that long ago; return how many."""

    async def purge_deleted_classes(self, older_than_days: int) -> int:
        """Forget classes deleted that long ago, but none that open batches need; return how many.

        A message that names one of them is then one for a class that never was.
        """

    async def purge_keys(self) -> int:
        """Forget the answers whose idempotency keys are free again; return how many."""

    async def turn_over_changes(self, kept: timedelta) -> Turnover:
        """Make room for the changes of the next weeks, and drop those older than `kept`."""
