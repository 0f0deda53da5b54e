"""The values that the rules, the stores, the agents and the views pass to each other.

Instants are timezone-aware, in UTC.
"""

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from rules.event_headers import Headers, event_headers
from rules.values import dataclass

SYSTEM_TIMEOUT: Final = "SYSTEM_TIMEOUT"
SYSTEM_AUTO: Final = "SYSTEM_AUTO"


class Status(StrEnum):
    """The state of an association (`validation_status`)."""

    PENDING = "pending_validation"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    TIMEOUT_CONFIRMED = "timeout_confirmed"


class Method(StrEnum):
    """Who decided an association (`validation_method`)."""

    HUMAN = "human"
    TIMEOUT = "timeout"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that the matching rules depend on (docs/contract.md, section 5).

    `timeout`: from storing an association to the clock's decision.
    `high_confidence`, `auto_confirm`: 0..1, inclusive lower bounds; `auto_confirm` None is off.
    `suggestion_retry`: how long a message waits for a class or student that does not exist yet.
    """

    timeout: timedelta = timedelta(hours=24)
    high_confidence: float = 0.7
    auto_confirm: float | None = None
    suggestion_retry: timedelta = timedelta(seconds=60)

    @property
    def timeout_hours(self) -> int:
        """The timeout in hours, rounded up."""
        return -(-self.timeout // timedelta(hours=1))

    @property
    def timeout_seconds(self) -> float:
        """The timeout exactly, an int if it is a whole number."""
        seconds = self.timeout.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds


@dataclass(frozen=True, slots=True)
class Trace:
    """What connects the log lines, events and spans of one request."""

    correlation_id: UUID
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The user on whose behalf something is changed."""

    user_id: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class PersonName:
    """A student's name; `legal_full_name` is resolved when the name is given."""

    first_name: str
    last_name: str
    legal_full_name: str


@dataclass(frozen=True, slots=True)
class NewClass:
    """A class to create; `external_id` is what another system calls it."""

    id: UUID
    name: str
    course_code: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class ExternalIdChange:
    """The new external id; None clears it."""

    external_id: str | None


@dataclass(frozen=True, slots=True)
class ClassChange:
    """What to change of a class; None keeps what is there."""

    name: str | None = None
    course_code: str | None = None
    external_id: ExternalIdChange | None = None


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The part of a class that the rules need."""

    id: UUID
    owner_id: str
    name: str
    course_code: str


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """A class as stored; `version` counts its changes from 1."""

    id: UUID
    owner_id: str
    name: str
    course_code: str
    student_count: int
    version: int
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None

    @property
    def summary(self) -> ClassSummary:
        """The part that the rules need."""
        return ClassSummary(self.id, self.owner_id, self.name, self.course_code)


@dataclass(frozen=True, slots=True)
class NewStudent:
    """A student to create, and the classes it joins; only the clock makes a placeholder."""

    id: UUID
    name: PersonName
    email: str | None
    class_ids: tuple[UUID, ...] = ()
    is_placeholder: bool = False
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class EmailChange:
    """The new email; None clears it."""

    email: str | None


@dataclass(frozen=True, slots=True)
class StudentChange:
    """What to change of a student; None keeps what is there."""

    name: PersonName | None = None
    email: EmailChange | None = None
    add_class_ids: tuple[UUID, ...] = ()
    remove_class_ids: tuple[UUID, ...] = ()
    external_id: ExternalIdChange | None = None


@dataclass(frozen=True, slots=True)
class StudentRecord:
    """A student as stored; `version` counts its changes from 1.

    `is_placeholder`: the UNKNOWN student of its class, which belongs to the service.
    """

    id: UUID
    owner_id: str
    name: PersonName
    email: str | None
    class_ids: tuple[UUID, ...]
    version: int
    created_at: datetime
    updated_at: datetime
    is_placeholder: bool = False
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClassDetail:
    """A class with its students, by last and first name."""

    record: ClassRecord
    students: tuple[StudentRecord, ...]


@dataclass(frozen=True, slots=True)
class TaggedClass:
    """A class, and the tag that it has with its students at the same moment (rules.tags)."""

    record: ClassRecord
    tag: str


@dataclass(frozen=True, slots=True)
class DeletedClass:
    """What closing a batch needs of its class, which is deleted; `trace` is of the deletion."""

    id: UUID
    owner_id: str
    course_code: str
    deleted_by: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of essays; `class_id` is None once its class is deleted.

    `deleted_class_id` is that class then; None where an older version deleted it.
    `timeout_triggered`: the clock decided an essay that has been corrected since.
    """

    id: UUID
    class_id: UUID | None
    closed_at: datetime | None
    trace: Trace
    deleted_class_id: UUID | None = None
    timeout_triggered: bool = False

    def traced(self, request: Trace | None) -> "Batch":
        """Return the batch with the trace of the request that changes it, if there is one."""
        return replace(self, trace=request) if request else self


# A named tuple is made in a third of the time of a frozen dataclass, and of these three there are
# some for each essay.
class Suggestion(NamedTuple):
    """One student proposed for an essay; `confidence` is 0..1."""

    student_id: UUID
    confidence: float
    match_reasons: tuple[str, ...]


class NewAssociation(NamedTuple):
    """An essay's association as it is first stored; `method` is None if it is pending.

    `suggestions` are the first usable ones as they came, the suggested student's among them.
    """

    essay_id: UUID
    batch_id: UUID
    suggested_student_id: UUID | None
    confidence: float
    match_reasons: tuple[str, ...]
    confirm_by: datetime
    status: Status = Status.PENDING
    method: Method | None = None
    student_id: UUID | None = None
    validated_by: str | None = None
    filename: str | None = None
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True, slots=True)
class Association:
    """An essay's association with a student.

    `suggested_student_id` is what the matching service proposed, `student_id` what was decided
    (None while pending, and when rejected without another student). `suggestions` as in
    NewAssociation: they stay when the suggested student is withdrawn.
    """

    essay_id: UUID
    batch_id: UUID
    suggested_student_id: UUID | None
    student_id: UUID | None
    confidence: float
    match_reasons: tuple[str, ...]
    status: Status
    method: Method | None
    validated_by: str | None
    validated_at: datetime | None
    created_at: datetime
    confirm_by: datetime
    filename: str | None = None
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether it is still undecided."""
        return self.status is Status.PENDING


@dataclass(frozen=True, slots=True)
class AssociationView:
    """An association with the name of the student that it shows (decided, else suggested).

    Its `suggestions` are of students who are in the class now; `names` has their names, and may
    have others'.
    """

    association: Association
    student_name: str | None
    names: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as its teacher sees it; `confirm_by` is the next that is still open.

    `associations` are those of a page, and `more` whether others follow; `now` is the clock that
    decides.
    """

    batch_id: UUID
    class_id: UUID
    confirm_by: datetime | None
    closed_at: datetime | None
    associations: tuple[AssociationView, ...]
    more: bool
    now: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class HumanDecision:
    """A teacher's decision on one essay.

    Confirmed with `student_id` None means the suggested student, else the class's UNKNOWN student.
    """

    essay_id: UUID
    confirmed: bool
    student_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is stored in an association."""

    essay_id: UUID
    status: Status
    method: Method
    student_id: UUID | None
    validated_by: str


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A decision on an essay: the one that stands, or one that was corrected since.

    `student_id` is None for nobody, and for a student that was deleted.
    """

    at: datetime
    by: str
    method: Method
    student_id: UUID | None
    status: Status


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """How many of a batch's associations are in each state."""

    confirmed: int
    rejected: int
    pending: int


@dataclass(frozen=True, slots=True)
class EssayStudent:
    """The student decided for an essay."""

    essay_id: UUID
    student_id: UUID
    name: PersonName


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A batch with pending associations, as its timer has it."""

    batch_id: UUID
    class_id: UUID
    pending_count: int
    confirm_by: datetime


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch in PostgreSQL, for the inspection of the tables."""

    batch_id: UUID
    pending_count: int
    confirm_by: datetime | None
    closed_at: datetime | None


class MatchResult(NamedTuple):
    """The proposals for one essay, most confident first."""

    essay_id: UUID
    suggestions: tuple[Suggestion, ...]
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class SuggestionMessage:
    """A BatchAuthorMatchesSuggestedV1, read and checked."""

    event_id: UUID
    trace: Trace
    batch_id: UUID
    class_id: UUID
    results: tuple[MatchResult, ...]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record batch that cannot be decoded, from `first_offset` to the offset of its record."""

    first_offset: int
    fault: str


@dataclass(slots=True)  # frozen, it would take 2 us more to make one
class Record:
    """A consumed Kafka record as it came; `timestamp_ms` is Kafka's, since 1970.

    From `clear_from` to its offset the log has no other record, as reading it has shown: it was
    compacted there, or has markers or aborted records of transactions. None is unknown.

    With `undecodable` set, a record without content stands for a batch that was passed over.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    clear_from: int | None = field(default=None, compare=False)
    undecodable: Undecodable | None = None

    @property
    def begin(self) -> int:
        """The offset from which the log is accounted for by this record."""
        return self.offset if self.clear_from is None else self.clear_from


@dataclass(frozen=True, slots=True)
class Delivery:
    """A suggestions message and the record that carried it."""

    record: Record
    message: SuggestionMessage


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A Kafka record to be published, ready to send.

    `own_headers` None: it is an event, whose headers say what its value says.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    own_headers: Headers | None = None

    @property
    def headers(self) -> Headers:
        """The record's headers."""
        own = self.own_headers
        return event_headers(self.topic, self.value or b"") if own is None else own


ParseSuggestions = Callable[[Record], SuggestionMessage]
