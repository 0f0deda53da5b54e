"""Classes and their students."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.models import Caller, ClassChange, ClassRecord, Document, StudentChange, StudentRecord


class ClassRepositoryProtocol(Protocol):
    """Classes and students. What another user owns answers like what does not exist."""

    async def create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        """Make classes; a refusal takes its request's place and leaves the others alone."""

    async def list_classes(self, owner_id: str, limit: int, offset: int) -> list[ClassRecord]:
        """Return the owner's classes, newest first."""

    async def class_document(self, owner_id: str, class_id: UUID) -> Document:
        """Return a class with its students, as documents.class_detail_json has it.

        Raises ClassNotFoundError.
        """

    async def update_class(
        self, caller: Caller, class_id: UUID, change: ClassChange
    ) -> ClassRecord:
        """Change a class; what changes nothing publishes nothing. Raises ClassNotFoundError."""

    async def delete_class(self, caller: Caller, class_id: UUID) -> None:
        """Delete a class, its enrolments and its pending associations.

        Raises ClassNotFoundError.
        """

    async def roster_document(self, class_id: UUID, owner_id: str | None) -> bytes:
        """Return a class's students by name, as documents.roster_json has it, in UTF-8.

        None for `owner_id` is another service.

        Raises ClassNotFoundError.
        """

    async def create_students(
        self, requests: Sequence[NewStudentRequest]
    ) -> list[StudentRecord | ServiceError]:
        """Make students and enrol them.

        A refusal (ClassNotFoundError, EmailConflictError) takes its request's place and
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
