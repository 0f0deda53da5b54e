"""What the service answers. Members that are new to this client are ignored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An object of an answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Tagged(Model):
    """Something that changes: `tag` is its ETag, or None where it comes out of a list."""

    tag: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any], tag: str | None) -> Self:
        """Read an answer and its ETag."""
        return cls.model_validate({**document, "tag": tag})


class Course(Model):
    """A course that a class can belong to."""

    course_code: str
    name: str
    language: str


class PersonName(Model):
    """A person's name: one of the two parts may be empty."""

    first_name: str = ""
    last_name: str = ""
    legal_full_name: str | None = None


class Student(Tagged):
    """A student of yours."""

    id: UUID
    person_name: PersonName
    full_name: str
    email: str | None
    class_ids: tuple[UUID, ...]
    is_placeholder: bool
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None


class Class(Tagged):
    """A class of yours; `students` only where you asked for this one class."""

    id: UUID
    name: str
    course_code: str
    student_count: int
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None
    students: tuple[Student, ...] = ()


class ClassDeletion(Model):
    """What deleting a class would end."""

    batches_open: int
    associations_pending: int


class RosterStudent(Model):
    """A student of a class's roster."""

    student_id: UUID
    first_name: str
    last_name: str
    full_legal_name: str
    email: str | None


class Batch(Model):
    """A batch of essays in your list."""

    batch_id: UUID
    class_id: UUID
    class_name: str
    course_code: str
    state: str
    associations_total: int
    associations_pending: int
    associations_unmatched: int
    confirm_by: datetime | None
    created_at: datetime
    closed_at: datetime | None


class Suggestion(Model):
    """A student that an essay may be of."""

    student_id: UUID
    student_name: str
    confidence_score: float
    match_reasons: tuple[str, ...]


class Association(Tagged):
    """An essay, who is suggested for it, and who it was decided for."""

    essay_id: UUID
    filename: str | None
    suggested_student_id: UUID | None
    student_id: UUID | None
    student_name: str | None
    confidence_score: float
    match_reasons: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    validation_status: str
    validation_method: str | None
    validated_by: str | None
    validated_at: datetime | None
    created_at: datetime
    confirm_by: datetime

    @property
    def is_pending(self) -> bool:
        """Whether nobody has decided yet."""
        return self.validation_status == "pending_validation"


class BatchAssociations(Tagged):
    """A batch and its essays."""

    batch_id: UUID
    class_id: UUID
    confirm_by: datetime | None
    server_time: datetime
    closed_at: datetime | None
    associations: tuple[Association, ...]


class Decided(Model):
    """How a batch stands after your decisions."""

    status: str
    associations_confirmed: int
    associations_rejected: int
    associations_pending: int


class Change(Model):
    """A change: `data` is what it is since then, or was when it was deleted.

    `entity` is class, student, enrollment (`id` is the student's, `data` has the class) or
    association (`id` is the essay's).
    """

    sequence: int
    at: datetime
    kind: str
    entity: str
    id: UUID
    external_id: str | None
    by: str
    data: Mapping[str, Any]
    before: Mapping[str, Any] | None


class ChangePage(Model):
    """Changes in their order, and where to go on."""

    changes: tuple[Change, ...]
    next_cursor: str
    more: bool


class PastChange(Model):
    """What somebody did to a class or student."""

    at: datetime
    by: str
    kind: str
    entity: str
    class_id: UUID | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


class PastDecision(Model):
    """A decision on an essay; `by` is null where the service itself decided for nobody."""

    at: datetime
    by: str | None
    method: str
    student_id: UUID | None
    validation_status: str


class ImportSummary(Model):
    """How many rows of an import are of each kind."""

    created: int
    updated: int
    unchanged: int
    joined: int
    left: int
    errors: int


class Import(Tagged):
    """A file's plan, and what became of it; `progress` is 0 to 1."""

    id: UUID
    state: str
    mode: str
    class_id: UUID | None
    summary: ImportSummary
    progress: float
    created_at: datetime
    expires_at: datetime
    undoes: UUID | None
    is_large: bool = False
    left_out: tuple[UUID, ...] = ()
    undone_by: UUID | None = None


class CellError(Model):
    """What is wrong with a cell of a file."""

    column: str
    value_kind: str
    detail: str


class ImportRow(Model):
    """What an import does with a line of its file; `line` is null for who is missing there."""

    line: int | None
    kind: str
    student_id: UUID | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    errors: tuple[CellError, ...]
