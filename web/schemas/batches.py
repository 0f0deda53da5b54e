"""Batches and their student associations."""

from typing import Literal

from pydantic import Field

from rules.batches import BatchState
from rules.models import Method, Status
from web.schemas.base import Confidence, Count, Id, Instant, Output, Pagination


class Suggestion(Output):
    """A student that an essay may be of."""

    student_id: Id
    student_name: str
    confidence_score: Confidence
    match_reasons: list[str]


class Association(Output):
    """An essay, and whose it is."""

    essay_id: Id
    filename: str | None
    suggested_student_id: Id | None = Field(description="Null: no suggestion can be used.")
    student_id: Id | None = Field(description="Who it was decided for.")
    student_name: str | None
    confidence_score: Confidence
    match_reasons: list[str]
    suggestions: list[Suggestion]
    validation_status: Status
    validation_method: Method | None
    validated_by: str | None
    validated_at: Instant | None
    created_at: Instant
    confirm_by: Instant = Field(description="When the clock decides.")


class BatchAssociations(Output):
    """A batch's associations, oldest first."""

    batch_id: Id
    class_id: Id
    confirm_by: Instant | None = Field(description="The soonest of what is pending.")
    server_time: Instant
    closed_at: Instant | None
    associations: list[Association]
    pagination: Pagination


class Decided(Output):
    """How a batch stands after a teacher's decisions."""

    status: Literal["confirmed", "partially_confirmed"]
    associations_confirmed: Count
    associations_rejected: Count
    associations_pending: Count


class PastDecision(Output):
    """A decision on an essay."""

    at: Instant
    by: str | None
    method: Method
    student_id: Id | None
    validation_status: Status


class AssociationHistory(Output):
    """The decisions on an essay, oldest first."""

    history: list[PastDecision]


class Batch(Output):
    """A batch in its teacher's list."""

    batch_id: Id
    class_id: Id
    class_name: str
    course_code: str
    state: BatchState
    associations_total: Count
    associations_pending: Count
    associations_unmatched: Count
    confirm_by: Instant | None = Field(description="The soonest of what is pending.")
    created_at: Instant
    closed_at: Instant | None


class BatchPage(Output):
    """A page of batches."""

    batches: list[Batch]
    server_time: Instant
    pagination: Pagination
