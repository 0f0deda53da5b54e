"""What other services read."""

from pydantic import RootModel

from web.schemas.base import Count, Id, Instant, Output
from web.schemas.classes import PersonName


class EssayStudent(Output):
    """The student of an essay, once decided."""

    essay_id: Id
    student_id: Id
    student_person_name: PersonName


class EssayStudents(RootModel[list[EssayStudent]]):
    """The decided essays of a batch."""


class ClassInfo(Output):
    """The class of a batch."""

    class_id: Id
    class_name: str


class ClassInfos(RootModel[dict[str, ClassInfo | None]]):
    """The classes of batches, by the ids as the request wrote them; null: no such batch."""


class ValidationStatus(Output):
    """How far the decisions on a batch are."""

    batch_id: Id
    deviation_count: Count
    auto_confirm_deadline: Instant | None
    total_associations: Count
    confirmed_associations: Count


class ValidationStatuses(RootModel[dict[str, ValidationStatus | None]]):
    """By the ids as the request wrote them; null: no such batch."""
