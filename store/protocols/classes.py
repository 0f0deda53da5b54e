"""Classes and their students."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from rules.changes import NewClassRequest, NewStudentRequest
from rules.class_pages import ClassPage, ClassQuery
from rules.conditions import Condition
from rules.errors import ServiceError
from rules.joining import Outcome
from rules.models import Caller, ClassChange, ClassRecord, StudentChange, StudentRecord, TaggedClass
from rules.open_batches import ClassDeletion
from rules.search import StudentPage, StudentQuery


class ClassRepositoryProtocol(Protocol):
    """Classes and students. Those of other users are treated as if they did not exist.

    What takes a condition raises PreconditionFailedError where it does not hold.
    """

    async def create_classes(
        self, requests: Sequence[NewClassRequest]
    ) -> list[ClassRecord | ServiceError]:
        """Create classes.

        A refusal (ExternalIdConflictError, IdempotencyConflictError) takes its request's place and
        does not affect the others.
        """

    async def list_classes(self, owner_id: str, query: ClassQuery) -> ClassPage:
        """Return a page of the owner's classes, newest first."""

    async def class_document(self, owner_id: str | None, class_id: UUID) -> bytes:
        """Return `documents.class_detail_json` of a class as UTF-8. Raises ClassNotFoundError.

        `owner_id` is None if another service asks.
        """

    async def update_class(
        self,
        caller: Caller,
        class_id: UUID,
        change: ClassChange,
        condition: Condition | None = None,
    ) -> TaggedClass:
        """Change a class; no change publishes nothing.

        Raises ClassNotFoundError, ExternalIdConflictError.
        """

    async def delete_class(
        self, caller: Caller, class_id: UUID, condition: Condition | None = None
    ) -> None:
        """Delete a class, its enrolments and pending associations. Raises ClassNotFoundError."""

    async def class_deletion(self, owner_id: str, class_id: UUID) -> ClassDeletion:
        """Return what deleting a class would end. Raises ClassNotFoundError."""

    async def roster_document(self, class_id: UUID, owner_id: str | None) -> bytes:
        """Return `documents.roster_json` of a class as UTF-8. Raises ClassNotFoundError.

        `owner_id` is None if another service asks.
        """

    async def create_students(
        self, requests: Sequence[NewStudentRequest]
    ) -> list[StudentRecord | ServiceError]:
        """Create students and enrol them.

        A refusal (ClassNotFoundError, EmailConflictError, ExternalIdConflictError,
        IdempotencyConflictError, ValidationFailedError beyond a limit) takes its request's place
        and does not affect the others.
        """

    async def register_students(self, requests: Sequence[NewStudentRequest]) -> list[Outcome]:
        """Create students as `create_students` does; who is there already joins the classes.

        As a command does (rules.joining): who has the external id or the email, and the name, is
        meant. What is not refused takes effect, in one transaction.
        """

    async def get_student(self, owner_id: str, student_id: UUID) -> StudentRecord:
        """Return a student. Raises StudentNotFoundError."""

    async def find_students(self, owner_id: str, query: StudentQuery) -> StudentPage:
        """Return those of the owner's students that a query asks for; UNKNOWN ones are none."""

    async def cursor_key(self) -> bytes:
        """Return what positions in lists of people are sealed with, the same for all workers."""

    async def update_student(
        self,
        caller: Caller,
        student_id: UUID,
        change: StudentChange,
        condition: Condition | None = None,
    ) -> StudentRecord:
        """Change a student; no change publishes nothing.

        Raises StudentNotFoundError, ClassNotFoundError (to join or to leave), PlaceholderError,
        EmailConflictError, ExternalIdConflictError, ValidationFailedError beyond a limit.
        """

    async def delete_student(
        self, caller: Caller, student_id: UUID, condition: Condition | None = None
    ) -> None:
        """Delete a student; pending associations stay, unmatched. Raises StudentNotFoundError."""

    async def merge_students(self, caller: Caller, student_id: UUID, into: UUID) -> StudentRecord:
        """Make one of two students; return `into`, which has all that both had. The other is gone.

        Raises ValidationFailedError (they are the same), StudentNotFoundError, PlaceholderError.
        """
