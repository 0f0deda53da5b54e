"""The data of the in-memory store, and steps that several of its operations share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from rules import packs
from rules.dead_letters.letters import Address
from rules.dead_letters.replays import Decided
from rules.emails import key_of
from rules.errors import BatchNotFoundError, ClassNotFoundError, StudentNotFoundError
from rules.history import Change
from rules.idempotency import KeptAnswer
from rules.imports.applying import LeftOut
from rules.imports.plans import ClassPlan, ImportRecord, Marked, MarkedClass, PlannedRow
from rules.models import (
    Association,
    Batch,
    Caller,
    ClassRecord,
    ClassSummary,
    DeletedClass,
    OutboxMessage,
    PastDecision,
    Policy,
    Record,
    StudentRecord,
)
from rules.shards import SHARDS, shard_of
from rules.sizes import size_of
from store.clock import utc_now
from store.protocols.outbox import Pack, Refusal
from store.protocols.workers import WorkerRecord
from store.signals import CommitSignal


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A suggestions message that waits for its class, a student or an earlier message."""

    event_id: UUID
    batch_id: UUID
    record: Record
    deadline: datetime
    next_try: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class WaitingPack:
    """A pack of the outbox and when it was written."""

    pack: Pack
    written_at: datetime

    def numbered(self) -> Iterable[tuple[int, OutboxMessage]]:
        """Return the messages with their numbers."""
        return enumerate(self.pack.messages, self.pack.id)


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A message that was taken out of the outbox, and why: None if it waits behind another."""

    message: OutboxMessage
    written_at: datetime
    reason: Refusal | None
    since: datetime

    def is_before(self, message: OutboxMessage) -> bool:
        """Whether a message has to wait for this one: without a key nothing has to."""
        mine = self.message
        return mine.key is not None and (mine.topic, mine.key) == (message.topic, message.key)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered to a request with a key, the request's digest, and when."""

    digest: bytes
    answer: KeptAnswer
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A class's part, and whether it is done or left out."""

    plan: ClassPlan
    done: bool = False
    left_out: LeftOut | None = None

    @property
    def pending(self) -> bool:
        return not self.done and self.left_out is None


@dataclass(frozen=True, slots=True)
class StoredImport:
    """An import with its parts and rows; `caller` applies it, `stepped` orders who is next."""

    record: ImportRecord
    parts: tuple[StoredPart, ...]
    rows: tuple[PlannedRow, ...]
    caller: Caller
    ended_at: datetime | None = None
    stepped: int = 0


class MemoryStore:
    """The rows. `now` is the clock that decides, as PostgreSQL's is elsewhere."""

    def __init__(
        self, policy: Policy, now: Callable[[], datetime] = utc_now, *, keeps_changes: bool = True
    ) -> None:
        self.policy: Final = policy
        self._keeps_changes: Final = keeps_changes
        self.now = now
        self.classes: Final[dict[UUID, ClassRecord]] = {}
        self.students: Final[dict[UUID, StudentRecord]] = {}
        self.batches: Final[dict[UUID, Batch]] = {}
        #: When each batch came.
        self.begun: Final[dict[UUID, datetime]] = {}
        self.deleted_classes: Final[dict[UUID, DeletedClass]] = {}
        self.deleted_at: Final[dict[UUID, datetime]] = {}
        self.changes: Final[list[Change]] = []
        self.changed_at: Final[list[datetime]] = []
        """When, of each of the changes."""
        self.changes_forgotten = 0
        """How many there were before those."""
        self.feed_epoch = uuid4()
        self.associations: Final[dict[UUID, Association]] = {}
        #: Of each essay the decisions that were corrected since.
        self.past: Final[defaultdict[UUID, list[PastDecision]]] = defaultdict(list)
        self.inbox: Final[dict[UUID, datetime]] = {}
        #: Which record brought a command: its event id, to the identity of the delivery.
        self.delivered: Final[dict[UUID, UUID]] = {}
        self.decisions: Final[dict[UUID, Decided]] = {}
        self.decided_addresses: Final[dict[UUID, Address]] = {}
        self.parked: Final[dict[UUID, ParkedMessage]] = {}
        self.progress: Final[dict[tuple[str, str, int], int]] = {}
        self.outbox: Final[list[dict[int, WaitingPack]]] = [{} for _ in range(SHARDS)]
        self.leased: Final[set[int]] = set()
        self.set_aside: Final[dict[int, SetAsideRow]] = {}
        self.answers: Final[dict[tuple[str, str], StoredAnswer]] = {}
        """By owner and key."""
        self.imports: Final[dict[UUID, StoredImport]] = {}
        self.import_marks: Final[dict[UUID, Marked]] = {}
        """Of each student what the last import left."""
        self.import_class_marks: Final[dict[UUID, MarkedClass]] = {}
        self.import_members: Final[dict[UUID, frozenset[UUID]]] = {}
        """Of each class whom the last import left in it."""
        self.workers: Final[dict[str, tuple[WorkerRecord, datetime]]] = {}
        self.committed: Final = CommitSignal()
        self.applying: Final = CommitSignal()
        """Set when an import is to be applied."""
        self._members: Final[defaultdict[UUID, set[UUID]]] = defaultdict(set)
        #: The classes' UNKNOWN students.
        self._unknown: Final[set[UUID]] = set()
        self._emails: Final[dict[tuple[str, str], UUID]] = {}
        self._called: Final[dict[tuple[str, str], UUID]] = {}
        self._essays: Final[defaultdict[UUID, list[UUID]]] = defaultdict(list)
        self._next_number = 1

    def publish(self, messages: Iterable[OutboxMessage]) -> None:
        """Put messages into the outbox, in order."""
        contents: defaultdict[int, list[OutboxMessage]] = defaultdict(list)
        for number, message in _numbered([*messages]):
            contents[number].append(message)
        for number, packed in contents.items():
            made = Pack(number % SHARDS, self._next_number, packed)
            self.outbox[made.shard][made.id] = WaitingPack(made, self.now())
            self._next_number += len(packed)
            self.committed.set()

    def remember(self, changes: Iterable[Change]) -> None:
        """Remember changes, in order."""
        if self._keeps_changes:
            self.changes.extend(changes)
            missing = len(self.changes) - len(self.changed_at)
            self.changed_at.extend([self.now()] * missing)

    def savepoint(self) -> Callable[[], None]:
        """Return what undoes all that is done to students from now on."""
        students, number, changes = dict(self.students), self._next_number, len(self.changes)

        def roll_back() -> None:
            touched = self.students.keys() | students.keys()
            others = [i for i in touched if self.students.get(i) is not students.get(i)]
            for student_id in others:
                self.drop_student(student_id)
            for student_id in others:
                if student_id in students:
                    self.put_student(students[student_id])
            for shard in self.outbox:
                for new in [i for i in shard if i >= number]:
                    del shard[new]
            del self.changes[changes:], self.changed_at[changes:]

        return roll_back

    def class_of(self, owner_id: str, class_id: UUID) -> ClassRecord:
        """Return the owner's class. Raises ClassNotFoundError."""
        record = self.classes.get(class_id)
        if record is None or record.owner_id != owner_id:
            raise ClassNotFoundError
        return record

    def classes_of(self, owner_id: str, class_ids: Iterable[UUID]) -> list[ClassSummary]:
        """Return the owner's classes in this order. Raises ClassNotFoundError if one is missing."""
        return [self.class_of(owner_id, class_id).summary for class_id in class_ids]

    def student_of(self, owner_id: str, student_id: UUID) -> StudentRecord:
        """Return the owner's student. Raises StudentNotFoundError."""
        record = self.students.get(student_id)
        if record is None or record.owner_id != owner_id:
            raise StudentNotFoundError
        return record

    def class_of_batch(self, batch_id: UUID) -> ClassSummary | None:
        """Return a batch's class, None if there is no batch or its class was deleted."""
        batch = self.batches.get(batch_id)
        if batch is None or batch.class_id is None:
            return None
        return self.classes[batch.class_id].summary

    def owned_class_of_batch(self, owner_id: str, batch_id: UUID) -> ClassSummary:
        """Return the class of an owner's batch. Raises BatchNotFoundError."""
        cls = self.class_of_batch(batch_id)
        if cls is None or cls.owner_id != owner_id:
            raise BatchNotFoundError
        return cls

    def members(self, class_id: UUID) -> frozenset[UUID]:
        """Return the students of a class."""
        return frozenset(self._members.get(class_id, ()))

    def pupils(self, class_id: UUID) -> frozenset[UUID]:
        """Return the students of a class but its UNKNOWN student."""
        return self.members(class_id) - self._unknown

    def sizes(self, class_ids: Iterable[UUID]) -> dict[UUID, int]:
        """Return how many students classes have, without the UNKNOWN one."""
        return {class_id: self._size(class_id) for class_id in class_ids}

    def _size(self, class_id: UUID) -> int:
        found = self._members.get(class_id, set[UUID]())
        return len(found) - len(found & self._unknown)

    def email_holder(self, owner_id: str, email: str | None) -> UUID | None:
        """Return the owner's student with this address, however it is written."""
        return None if email is None else self._emails.get((owner_id, key_of(email)))

    def student_called(self, owner_id: str, external_id: str | None) -> UUID | None:
        """Return the owner's student with this external id."""
        return None if external_id is None else self._called.get((owner_id, external_id))

    def class_called(self, owner_id: str, external_id: str | None) -> UUID | None:
        """Return the owner's class with this external id."""
        if external_id is None:
            return None
        wanted = owner_id, external_id
        found = (c.id for c in self.classes.values() if (c.owner_id, c.external_id) == wanted)
        return next(found, None)

    def put_student(self, record: StudentRecord) -> None:
        """Store a student with its email, its external id and its enrolments."""
        self.drop_student(record.id)
        self.students[record.id] = record
        if record.is_placeholder:
            self._unknown.add(record.id)
        if record.email is not None:
            self._emails[record.owner_id, key_of(record.email)] = record.id
        if record.external_id is not None:
            self._called[record.owner_id, record.external_id] = record.id
        for class_id in record.class_ids:
            self._members[class_id].add(record.id)

    def drop_student(self, student_id: UUID) -> None:
        """Forget a student, if there is one, with what `put_student` stored of it."""
        record = self.students.pop(student_id, None)
        if record is None:
            return
        self._unknown.discard(student_id)
        if record.email is not None:
            del self._emails[record.owner_id, key_of(record.email)]
        if record.external_id is not None:
            del self._called[record.owner_id, record.external_id]
        for class_id in record.class_ids:
            self._members[class_id].discard(student_id)

    def forget_student(self, student_id: UUID) -> None:
        """Forget a student for good, and what imports left of it."""
        self.drop_student(student_id)
        self.import_marks.pop(student_id, None)
        for class_id, marked in self.import_members.items():
            self.import_members[class_id] = marked - {student_id}

    def drop_class(self, class_id: UUID) -> None:
        """Forget a class and its enrolments."""
        for student_id in self._members.pop(class_id, ()):
            student = self.students[student_id]
            rest = tuple(other for other in student.class_ids if other != class_id)
            self.students[student_id] = replace(student, class_ids=rest)
        del self.classes[class_id]
        self.import_members.pop(class_id, None)
        self.import_class_marks.pop(class_id, None)

    def add_association(self, association: Association) -> None:
        self.associations[association.essay_id] = association
        self._essays[association.batch_id].append(association.essay_id)

    def drop_association(self, association: Association) -> None:
        del self.associations[association.essay_id]
        self._essays[association.batch_id].remove(association.essay_id)

    def name_in_past(self, student_id: UUID, now_named: UUID | None) -> None:
        """Have the decisions that were corrected name another student, or nobody."""
        for essay_id, past in self.past.items():
            self.past[essay_id] = [
                replace(one, student_id=now_named) if one.student_id == student_id else one
                for one in past
            ]

    def associations_of(self, batch_id: UUID) -> list[Association]:
        """Return a batch's associations, oldest first."""
        found = [self.associations[essay_id] for essay_id in self._essays.get(batch_id, ())]
        return sorted(found, key=lambda a: (a.created_at, a.essay_id))

    def size_of(self, batch_id: UUID) -> int:
        """Return how many essays a batch has."""
        return len(self._essays.get(batch_id, ()))

    def pending_of(self, batch_id: UUID) -> list[Association]:
        """Return a batch's pending associations, soonest due first."""
        pending = [a for a in self.associations_of(batch_id) if a.pending]
        return sorted(pending, key=lambda a: (a.confirm_by, a.essay_id))


def _numbered(messages: Sequence[OutboxMessage]) -> Iterable[tuple[int, OutboxMessage]]:
    """Return messages with the numbers of their packs."""
    sizes = ((shard_of(m.key), size_of(m.key, m.value, m.headers)) for m in messages)
    return zip(packs.numbers(sizes), messages, strict=True)
