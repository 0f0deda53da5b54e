"""The events of batches and their associations."""

from typing import Annotated, Literal

from pydantic import Field

from rules.events.schemas.base import Confidence, Count, Id, Instant, Published, UserId
from rules.events.schemas.roster import Stamped
from rules.models import Method


class ConfirmedAssociation(Published):
    """What was decided for an essay."""

    essay_id: Id
    student_id: Id | None = Field(description="null: rejected, and nobody else was chosen.")
    confidence_score: Confidence
    validation_method: Method
    validated_by: str = Field(
        description="The user who decided; `SYSTEM_TIMEOUT` or `SYSTEM_AUTO` where the service did."
    )
    validated_at: Instant


class ValidationSummary(Published):
    """How the essays of a batch were decided."""

    total_associations: Count
    confirmed: Count
    rejected: Count
    human: Count
    timeout: Count
    auto: Count


_Batch = Annotated[Id, Field(description="The batch's id.")]


class _BatchEvent(Published):
    entity_id: _Batch
    entity_type: Literal["batch"]
    parent_id: None
    timestamp: Instant
    batch_id: Id


class StudentAssociationsConfirmedV1(_BatchEvent):
    """Every essay of a batch is decided: one such event for each batch, with all of its essays."""

    event_name: Literal["student.associations.confirmed"]
    class_id: Id
    course_code: str
    associations: list[ConfirmedAssociation]
    timeout_triggered: bool = Field(
        description="Whether the clock decided any of them, also if that was corrected since."
    )
    validation_summary: ValidationSummary


class AutoConfirmedAssociation(Published):
    """An essay for which the clock kept the suggested student."""

    essay_id: Id
    student_first_name: str
    student_last_name: str
    student_email: str | None
    confidence_score: Confidence
    is_confirmed: Literal[True]


class ValidationTimeoutProcessedV1(_BatchEvent):
    """The clock decided essays of a batch that is now closed."""

    event_name: Literal["validation.timeout.processed"]
    user_id: UserId
    timeout_hours: Count = Field(description="Rounded up.")
    timeout_seconds: float = Field(description="The same exactly.")
    auto_confirmed_associations: list[AutoConfirmedAssociation]
    guest_essays: list[Id] = Field(description="Essays given to the class's UNKNOWN student.")
    guest_class_created: Literal[False]
    guest_class_id: None
    processing_timestamp: Instant


class EssayStudentAssociationUpdatedV1(Stamped):
    """A decided essay has another student now, or none.

    The later `timestamp` stands: an essay's closing event is on another topic, and may be read
    after this.
    """

    event: Literal["essay.student.association.updated"]
    batch_id: Id
    essay_id: Id
    student_id: Id | None = Field(description="null: nobody, and so are the next three.")
    first_name: str | None
    last_name: str | None
    student_email: str | None
    association_method: Literal["manual"]
    confidence_score: None
    created_by_user_id: str = Field(min_length=1, description="The user who did it.")
