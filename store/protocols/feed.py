"""What changed, in the order in which it is told, and the histories of classes and students."""

from typing import Protocol
from uuid import UUID

from rules.feed import FeedPage, FeedQuery, HistoryPage, Position


class FeedProtocol(Protocol):
    """Changes, as far as they are kept."""

    async def changes(self, query: FeedQuery) -> FeedPage:
        """Return changes that have a number. Raises ResyncRequiredError.

        None is ever left out: what commits later than others has a later number, and the changes
        of an entity have theirs in the order in which they were made.
        """

    async def end(self) -> Position:
        """Return the position behind all changes that have a number."""

    async def waiting_seconds(self) -> float | None:
        """Return how long ago the oldest change began that is committed and has no number.

        None if there is none.
        """

    async def number(self) -> int:
        """Give numbers to changes that have none; return how many.

        None while another process is at it. What it leaves is for the next time.
        """

    async def class_history(
        self, owner_id: str, class_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        """Return the changes of a class itself, also of a deleted one. Raises ClassNotFoundError.

        `after` is an id of HistoryPage.
        """

    async def student_history(
        self, owner_id: str, student_id: UUID, after: int | None, limit: int
    ) -> HistoryPage:
        """Return the changes of a student and of its enrolments, likewise.

        Raises StudentNotFoundError.
        """
