"""What the agents and the views ask of a store.

Each operation that changes something is one transaction: its rows and the messages that it
publishes (outbox) are stored together or not at all. Operations of every protocol raise
StoreUnavailableError when the database does not answer; what was asked may then be repeated.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rules.commands.orders import CommandDelivery, CommandResult
from rules.dead_letters.letters import Address
from rules.dead_letters.messages import DeadLetter
from rules.dead_letters.replays import Decided, Ended, Replay
from rules.errors import ServiceError
from rules.models import (
    BatchState,
    BatchTotals,
    BatchView,
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    ClassSummary,
    Delivery,
    Document,
    EssayStudent,
    HumanDecision,
    NewClass,
    NewStudent,
    OutboxMessage,
    ParseSuggestions,
    PendingBatch,
    StudentChange,
    StudentRecord,
)
from rules.progress import Progress
from rules.suggestions import Outcome
from rules.timeouts import ESSAYS_AT_ONCE


@dataclass(frozen=True, slots=True)
class CreateClass:
    """A request to make a class for `caller`."""

    caller: Caller
    new: NewClass


@dataclass(frozen=True, slots=True)
class CreateStudent:
    """A request to make a student for `caller`."""

    caller: Caller
    new: NewStudent


class ClassRepositoryProtocol(Protocol):
    """Classes and students. What another user owns answers like what does not exist."""

    async def create_classes(
        self, requests: Sequence[CreateClass]
    ) -> list[ClassRecord | ServiceError]:
        """Make classes; a refusal stands in its request's place and leaves the others alone."""

    async def list_classes(self, owner_id: str, limit: int, offset: int) -> list[ClassRecord]:
        """Return the owner's classes, newest first."""

    async def get_class(self, owner_id: str, class_id: UUID) -> ClassDetail:
        """Return a class with its students, which `class_document` is held against.

        Raises ClassNotFoundError.
        """

    async def class_document(self, owner_id: str, class_id: UUID) -> Document:
        """Return the same as documents.class_detail_json has it. Raises ClassNotFoundError."""

    async def update_class(
        self, caller: Caller, class_id: UUID, change: ClassChange
    ) -> ClassRecord:
        """Change a class; what changes nothing publishes nothing. Raises ClassNotFoundError."""

    async def delete_class(self, caller: Caller, class_id: UUID) -> None:
        """Delete a class, its enrolments and its pending associations.

        Raises ClassNotFoundError.
        """

    async def roster(self, class_id: UUID, owner_id: str | None) -> list[StudentRecord]:
        """Return a class's students by name; None for `owner_id` is another service.

        Raises ClassNotFoundError.
        """

    async def roster_document(self, class_id: UUID, owner_id: str | None) -> bytes:
        """Return the same as documents.roster_json has it, in UTF-8.

        Raises ClassNotFoundError.
        """

    async def create_students(
        self, requests: Sequence[CreateStudent]
    ) -> list[StudentRecord | ServiceError]:
        """Make students and enrol them.

        A refusal (ClassNotFoundError, EmailConflictError) stands in its request's place and
        leaves the others alone.
        """

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        """Return a student. Raises StudentNotFoundError."""

    async def update_student(
        self, caller: Caller, student_id: UUID, change: StudentChange
    ) -> StudentRecord:
        """Change a student; what changes nothing publishes nothing.

        Raises StudentNotFoundError, ClassNotFoundError (to join or to leave), EmailConflictError.
        """

    async def delete_student(self, caller: Caller, student_id: UUID) -> None:
        """Delete a student; its pending associations become unmatched and stay pending.

        Raises StudentNotFoundError.
        """


@dataclass(frozen=True, slots=True)
class DecidedByClock:
    """What one call to decide did: `essays` decided, the `lateness` of each in seconds.

    `left` are the batches that would have been too many for one transaction, in their order.
    """

    essays: int
    lateness: tuple[float, ...]
    left: tuple[UUID, ...] = ()


class AssociationRepositoryProtocol(Protocol):
    """Batches of essays and whose they are."""

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> list[Outcome]:
        """Store messages in their order, all in one transaction; again has no effect.

        What names a class or student that is not there yet is parked. `reached` is the progress
        that this makes true.
        """

    async def retry_parked(self, parse: ParseSuggestions, limit: int) -> list[Outcome]:
        """Try parked messages again that are due for it, `limit` batches at the most."""

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        """Publish records to their dead-letter topics; return how many were new.

        `reached` is the progress that this makes true.
        """

    async def note_replays(self, ended: Sequence[Ended]) -> None:
        """Keep what became of replayed dead letters that no other operation here has handled."""

    async def get_batch(self, owner_id: str, batch_id: UUID) -> BatchView:
        """Return a batch with its associations. Raises BatchNotFoundError."""

    async def confirm(
        self, caller: Caller, batch_id: UUID, decisions: Sequence[HumanDecision]
    ) -> BatchTotals:
        """Apply a teacher's decisions, all or none; the last one closes the batch.

        Raises BatchNotFoundError, ValidationFailedError, BatchConflictError.
        """

    async def decide_due(
        self, batch_ids: Sequence[UUID], most: int = ESSAYS_AT_ONCE
    ) -> DecidedByClock:
        """Decide what is due in these batches by the database's clock.

        Takes batches from the front as long as they have at most `most` due essays together; the
        first one is always taken. Publishes for each that it takes how its timer stands now.
        Batches that somebody else is deciding at this moment are left out.
        """

    async def overdue(self, limit: int, grace_seconds: float) -> list[UUID]:
        """Return batches that have been due for `grace_seconds`, longest first."""

    async def pending_batches(self, after: UUID | None, limit: int) -> list[PendingBatch]:
        """Return batches with pending associations by ascending id, from behind `after`."""

    async def rearm(self, batch_ids: Sequence[UUID]) -> None:
        """Publish how the timers of these batches stand (armed or cleared)."""

    async def batch_states(self, batch_ids: Sequence[UUID]) -> list[BatchState]:
        """Return how these batches stand; unknown ones are left out."""

    async def student_names(self, batch_id: UUID) -> list[EssayStudent]:
        """Return the decided essays of a batch with their students."""

    async def essay_student(self, essay_id: UUID) -> EssayStudent:
        """Return the student decided for an essay. Raises EssayNotFoundError."""

    async def class_info(self, batch_ids: Sequence[UUID]) -> dict[UUID, ClassSummary]:
        """Return the classes of these batches; those without one are left out."""


class DeadLetterProtocol(Protocol):
    """What people decide about dead letters; whatever handles a replay keeps what came of it."""

    async def decided(self, letters: Sequence[UUID]) -> dict[UUID, Decided]:
        """Return what was decided about these letters."""

    async def replay(self, replays: Sequence[Replay], *, again: bool) -> list[UUID]:
        """Publish the messages of dead letters anew, and keep that; return which letters.

        Left out is what was decided about before, unless it is to be done `again`.
        """

    async def drop(self, letters: Sequence[tuple[UUID, Address]], *, again: bool) -> list[UUID]:
        """Keep that nobody will replay these letters; return which of them, as `replay` does."""

    async def forget(self, older_than_days: int) -> int:
        """Forget what was decided that long ago; return how much."""


class CommandRepositoryProtocol(Protocol):
    """Commands that come as messages."""

    async def apply_commands(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress] = ()
    ) -> list[CommandResult]:
        """Carry out commands, each user's in their order, and publish their results.

        All of it is one transaction.

        A refusal is a result and undoes its command alone. A command whose event id was handled
        before has no second effect: its result is a duplicate, and is published for a repetition
        of its sender's, not for a record that is merely delivered again. `reached` is the progress
        that this makes true.
        """


class ProgressProtocol(Protocol):
    """How far the consumed topics have been stored.

    Written by whatever stores consumed messages, in the same transaction; read here.
    """

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        """Return how far a group has come: by partition, the offset that follows."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message waiting to be published; ids rise in commit order per key."""

    id: int
    message: OutboxMessage


class OutboxLease(Protocol):
    """The right to publish one shard, held until the context that gave it ends."""

    async def fetch(self, limit: int) -> list[OutboxRow]:
        """Return the shard's first rows, by id."""

    async def delete(self, ids: Sequence[int]) -> None:
        """Forget rows that were published; takes effect when the lease ends without error."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits: outbox rows, seconds since the oldest, pending associations, parked."""

    outbox_depth: int
    outbox_age_seconds: float
    pending_associations: int
    parked_messages: int


class OutboxProtocol(Protocol):
    """The messages that committed changes publish."""

    async def waiting_shards(self) -> list[int]:
        """Return the shards with rows to publish."""

    def lease(self, shard: int) -> AbstractAsyncContextManager[OutboxLease | None]:
        """Take a shard; None where another worker has it."""

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may have been committed, at the latest after the timeout."""

    async def announce(self) -> None:
        """Tell other processes of what this one commits, for ever: for one without a relay."""

    async def listen(self) -> None:
        """Have `wait` return for what other processes announce, for ever."""


class MaintenanceProtocol(Protocol):
    """What operating the store needs."""

    async def ping(self) -> datetime:
        """Return the database's clock."""

    async def backlog(self) -> Backlog:
        """Return how much waits."""

    async def purge_inbox(self, older_than_days: int) -> int:
        """Forget which messages were handled that long ago; return how many."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as it announces itself: where it answers, and what it holds of the stream table.

    `started_at` tells its process from an earlier one of the same name.
    """

    worker: str
    url: str
    partitions: tuple[int, ...]
    version: str
    role: str
    started_at: datetime


class WorkerRegistryProtocol(Protocol):
    """The workers that run now. Times are the database's own."""

    async def announce(self, own: WorkerRecord, forget_seconds: float) -> list[WorkerRecord]:
        """Say that this worker runs; return the others, by name.

        Who has not announced itself for `forget_seconds` is forgotten.
        """

    async def known(self, forget_seconds: float) -> list[WorkerRecord]:
        """Return the workers that announced themselves that recently, by name."""

    async def withdraw(self, own: WorkerRecord) -> None:
        """Say that this worker ends; one that has its name by now stays."""


class ClassEventPublisherProtocol(Protocol):
    """Sends messages to Kafka."""

    async def publish(self, messages: Sequence[OutboxMessage], lane: int = 0) -> None:
        """Send in order and return once the broker has all of them. Raises PublishError.

        Calls in one lane follow each other; lanes do not wait for each other.
        """

    async def reachable(self) -> bool:
        """Whether the broker answers."""

    async def close(self) -> None:
        """Stop; what is unsent stays in the outbox."""


class PublishError(Exception):
    """The broker did not take the messages; they are sent again later."""
