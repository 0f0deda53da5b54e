"""What is read of batches: pages of associations, a teacher's list, what other services ask."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID


class BatchState(StrEnum):
    """Whether a batch still waits for decisions."""

    PENDING = "pending"
    CLOSED = "closed"


BOTH: Final = frozenset(BatchState)


class Place(NamedTuple):
    """Where an association stands in its batch: the oldest first."""

    created_at: datetime
    essay_id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Which associations to read: those behind a place, at most `limit`; None is all."""

    limit: int | None = None
    after: Place | None = None


ALL: Final = Page()


class BatchPlace(NamedTuple):
    """Where a batch stands in a teacher's list.

    Pending ones come first, soonest deadline first; then closed ones, latest first. `at` is the
    deadline, or when it was closed. A batch that closes moves behind the pending ones, so that
    whoever pages through the list meets it there.
    """

    state: BatchState
    at: datetime
    batch_id: UUID


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """A page of a teacher's batches in these states, of one class if it is given."""

    limit: int
    after: BatchPlace | None = None
    states: frozenset[BatchState] = BOTH
    class_id: UUID | None = None

    @property
    def wants_pending(self) -> bool:
        """Whether pending ones are still to come."""
        passed = self.after is not None and self.after.state == BatchState.CLOSED
        return BatchState.PENDING in self.states and not passed

    @property
    def wants_closed(self) -> bool:
        """Whether closed ones are to come."""
        return BatchState.CLOSED in self.states

    def behind(self, state: BatchState) -> tuple[datetime, UUID] | None:
        """Return the place in one of the two parts behind which the page begins, if it is there."""
        if self.after is None or self.after.state != state:
            return None
        return self.after.at, self.after.batch_id


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch in a teacher's list.

    `unmatched` are pending associations for which nobody is suggested, `certain` those whose
    suggestion the clock would keep; `confirm_by` is the soonest of the pending ones.
    """

    batch_id: UUID
    class_id: UUID
    class_name: str
    course_code: str
    total: int
    pending: int
    unmatched: int
    certain: int
    confirm_by: datetime | None
    created_at: datetime
    closed_at: datetime | None

    @property
    def state(self) -> BatchState:
        """Whether it still waits for decisions."""
        return BatchState.PENDING if self.closed_at is None else BatchState.CLOSED

    @property
    def uncertain(self) -> int:
        """Pending ones with a suggestion that the clock would not keep."""
        return self.pending - self.unmatched - self.certain

    @property
    def place(self) -> BatchPlace:
        """Where it stands. A batch in which nothing is pending yet stands where it began."""
        if self.closed_at is not None:
            return BatchPlace(BatchState.CLOSED, self.closed_at, self.batch_id)
        return BatchPlace(BatchState.PENDING, self.confirm_by or self.created_at, self.batch_id)


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of a teacher's batches; `more` says whether others follow, `now` is the database's."""

    batches: tuple[BatchSummary, ...]
    more: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class ValidationStatus:
    """How far the decisions on a batch are, for other services.

    `confirmed` counts what has been confirmed by whomever; rejected ones are not among them.
    """

    batch_id: UUID
    pending: int
    confirm_by: datetime | None
    total: int
    confirmed: int
