"""Notifications: on Kafka, and as they are pushed through Redis, one of each for every kind."""

from typing import Literal

from pydantic import Field

from rules.events.schemas.base import Count, Id, Instant, OneCourse, Published
from rules.events.schemas.batches import ValidationSummary


class _Payload(Published):
    message: str = Field(description="For a person, in English.")


class ClassCreatedPayload(_Payload):
    """What a teacher is told of a new class."""

    class_id: Id
    class_designation: str
    course_codes: OneCourse


class StudentAddedPayload(_Payload):
    """What a teacher is told of a student who joined a class."""

    student_id: Id
    student_name: str
    class_id: Id
    class_designation: str


class MatchesSuggestedPayload(_Payload):
    """What a teacher is told of essays that wait for a decision."""

    batch_id: Id
    class_id: Id
    suggested_count: Count = Field(description="Essays with a suggested student.")
    unmatched_count: Count = Field(description="Essays without one.")


class TimeoutProcessedPayload(_Payload):
    """What a teacher is told of what the clock decided."""

    batch_id: Id
    auto_confirmed_count: Count
    timeout_hours: Count


class AssociationsConfirmedPayload(_Payload):
    """What a teacher is told of a batch that is decided."""

    batch_id: Id
    confirmed_count: Count
    validation_summary: ValidationSummary
    timeout_triggered: bool


class _Notification(Published):
    teacher_id: str = Field(min_length=1, description="The user who is told.")
    category: str
    priority: str
    action_required: bool
    deadline_timestamp: Instant | None = Field(description="null: nothing is to be done by then.")
    correlation_id: Id
    batch_id: Id | None
    class_id: Id | None
    timestamp: Instant


class ClassCreatedNotification(_Notification):
    """A teacher has a new class."""

    notification_type: Literal["class_created"]
    category: Literal["class_management"]
    priority: Literal["standard"]
    action_required: Literal[False]
    payload: ClassCreatedPayload


class StudentAddedNotification(_Notification):
    """A student joined a teacher's class."""

    notification_type: Literal["student_added_to_class"]
    category: Literal["class_management"]
    priority: Literal["low"]
    action_required: Literal[False]
    payload: StudentAddedPayload


class MatchesSuggestedNotification(_Notification):
    """Essays wait for a teacher's decision, until the deadline."""

    notification_type: Literal["student_matches_suggested"]
    category: Literal["student_workflow"]
    priority: Literal["high"]
    action_required: Literal[True]
    payload: MatchesSuggestedPayload


class TimeoutProcessedNotification(_Notification):
    """The clock decided essays of a teacher's batch."""

    notification_type: Literal["validation_timeout_processed"]
    category: Literal["student_workflow"]
    priority: Literal["immediate"]
    action_required: Literal[False]
    payload: TimeoutProcessedPayload


class AssociationsConfirmedNotification(_Notification):
    """Every essay of a teacher's batch is decided."""

    notification_type: Literal["student_associations_confirmed"]
    category: Literal["student_workflow"]
    priority: Literal["high"]
    action_required: Literal[False]
    payload: AssociationsConfirmedPayload


class _PushedData(Published):
    """What a pushed message has beside its payload, whose ids it repeats."""

    category: str
    priority: str
    action_required: bool
    deadline: Instant | None
    batch_id: Id | None
    class_id: Id | None
    correlation_id: Id
    timestamp: Instant
    event_id: Id = Field(description="That of the notification on Kafka.")


class ClassCreatedPushed(_PushedData, ClassCreatedPayload):
    """The payload, and what else the notification says."""


class StudentAddedPushed(_PushedData, StudentAddedPayload):
    """The payload, and what else the notification says."""


class MatchesSuggestedPushed(_PushedData, MatchesSuggestedPayload):
    """The payload, and what else the notification says."""


class TimeoutProcessedPushed(_PushedData, TimeoutProcessedPayload):
    """The payload, and what else the notification says."""


class AssociationsConfirmedPushed(_PushedData, AssociationsConfirmedPayload):
    """The payload, and what else the notification says."""


class ImportProgressedPushed(_PushedData, _Payload):
    """How far an import is; Kafka has no such notification."""

    category: Literal["class_management"]
    priority: Literal["low"]
    action_required: Literal[False]
    import_id: Id
    state: Literal["applying", "applied", "failed"]
    progress: float = Field(ge=0, le=1)
    event_id: Id = Field(description="The message's own.")


class ImportProgressedPush(Published):
    """An import of a teacher has got further, or has ended; at most one message a second."""

    event: Literal["import_progressed"]
    data: ImportProgressedPushed


class ClassCreatedPush(Published):
    """A teacher has a new class."""

    event: Literal["class_created"]
    data: ClassCreatedPushed


class StudentAddedPush(Published):
    """A student joined a teacher's class."""

    event: Literal["student_added_to_class"]
    data: StudentAddedPushed


class MatchesSuggestedPush(Published):
    """Essays wait for a teacher's decision, until the deadline."""

    event: Literal["student_matches_suggested"]
    data: MatchesSuggestedPushed


class TimeoutProcessedPush(Published):
    """The clock decided essays of a teacher's batch."""

    event: Literal["validation_timeout_processed"]
    data: TimeoutProcessedPushed


class AssociationsConfirmedPush(Published):
    """Every essay of a teacher's batch is decided."""

    event: Literal["student_associations_confirmed"]
    data: AssociationsConfirmedPushed
