"""What the service refuses, and why.

Each class carries the `error_code` of docs/contract.md, section 2, "Errors"; its docstring is the
default message, so that a refusal has one text. Messages hold no names and no emails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of an input: `pointer` is a JSON Pointer (RFC 6901) into the body.

    `student_id` is the caller's own student that is in the way of what the pointer points at.
    """

    pointer: str
    detail: str
    student_id: UUID | None = None


class ServiceError(Exception):
    """Something went wrong inside the service."""

    error_code: ClassVar[str] = "INTERNAL_ERROR"
    #: The members of an input that are at fault.
    errors: tuple[FieldError, ...] = ()
    #: The caller's own student, or class, that is in the way.
    student_id: UUID | None = None
    class_id: UUID | None = None

    def __init__(self, detail: str | None = None) -> None:
        """`detail` replaces the docstring as the message."""
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class ValidationFailedError(ServiceError):
    """The request does not have the form that this path takes."""

    error_code = "VALIDATION_ERROR"

    def __init__(self, detail: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        """`errors` point at the members that are at fault."""
        super().__init__(detail)
        self.errors = tuple(errors)


class MultipleCoursesError(ServiceError):
    """A class belongs to exactly one course: give one course code."""

    error_code = "MULTIPLE_COURSE_ERROR"
    errors = (FieldError("/course_codes", "Give one course code."),)


class AuthenticationRequiredError(ServiceError):
    """The path needs to know who is calling."""

    error_code = "AUTHENTICATION_REQUIRED"


class ClassNotFoundError(ServiceError):
    """There is no such class."""

    error_code = "CLASS_NOT_FOUND"


class StudentNotFoundError(ServiceError):
    """There is no such student."""

    error_code = "STUDENT_NOT_FOUND"


class BatchNotFoundError(ServiceError):
    """There is no such batch."""

    error_code = "BATCH_NOT_FOUND"


class EssayNotFoundError(ServiceError):
    """No student has been decided for this essay."""

    error_code = "ESSAY_NOT_FOUND"


class EmailConflictError(ServiceError):
    """Another of your students already has this email."""

    error_code = "STUDENT_EMAIL_CONFLICT"

    def __init__(self, detail: str | None = None, *, student_id: UUID | None = None) -> None:
        """`student_id` is the caller's own student who has it."""
        super().__init__(detail)
        self.student_id = student_id


class ExternalIdConflictError(ServiceError):
    """Another of your students, or of your classes, already has this external id."""

    error_code = "EXTERNAL_ID_CONFLICT"

    def __init__(
        self,
        detail: str | None = None,
        *,
        student_id: UUID | None = None,
        class_id: UUID | None = None,
    ) -> None:
        """One of the two: the caller's own student, or class, that has it."""
        super().__init__(detail)
        self.student_id = student_id
        self.class_id = class_id


class PlaceholderError(ServiceError):
    """The UNKNOWN student of a class belongs to the service: nobody changes or takes it."""

    error_code = "PLACEHOLDER_STUDENT"


class BatchConflictError(ServiceError):
    """An essay of this batch is decided otherwise, or is to be corrected and not decided yet."""

    error_code = "BATCH_CONFLICT"


class PreconditionFailedError(ServiceError):
    """It is not what you know any more: read it again, and decide again."""

    error_code = "PRECONDITION_FAILED"


class ResyncRequiredError(ServiceError):
    """The cursor is older than what is kept, or of another database: read everything anew."""

    error_code = "RESYNC_REQUIRED"


class IdempotencyConflictError(ServiceError):
    """The id is taken, and not by the same content: choose another one."""

    error_code = "IDEMPOTENCY_CONFLICT"

    def __init__(self, detail: str | None = None, *, student_id: UUID | None = None) -> None:
        """`student_id` is the caller's own student who has it."""
        super().__init__(detail)
        self.student_id = student_id


class TooManyRequestsError(ServiceError):
    """You have as many requests under way as one user may; wait for one of them."""

    error_code = "TOO_MANY_REQUESTS"


class KeyReusedError(ServiceError):
    """The `Idempotency-Key` was used for another request: choose another one."""

    error_code = "IDEMPOTENCY_CONFLICT"


class KeyUnderWayError(ServiceError):
    """The first request with this `Idempotency-Key` is still under way; try again."""

    error_code = "IDEMPOTENCY_CONFLICT"


class Cause(StrEnum):
    """Why something is not available: in metrics, logs and health, so the list is short."""

    UNREACHABLE = "unreachable"
    """PostgreSQL refuses connections or breaks them."""
    NO_ANSWER = "no_answer"
    """PostgreSQL does not answer in time."""
    READ_ONLY = "read_only"
    """No server that takes writes: a standby, or one that was made read-only."""
    STARTING = "starting_or_stopping"
    CONNECTIONS = "too_many_connections"
    """PostgreSQL has none left."""
    DISK_FULL = "disk_full"
    ACCESS = "access_denied"
    """A password or a privilege is missing."""
    SCHEMA = "other_schema"
    """A database, table or column is missing."""
    CONFLICT = "conflict"
    """Other transactions interfered again and again."""
    BUSY = "busy"
    """The connections of this process are all in use."""
    CLIENTS = "too_many_clients"
    """More HTTP connections than one process takes."""
    REQUESTS = "requests"
    """More HTTP requests at once than one process answers."""
    DEADLINE = "deadline"
    """The answer took longer than HTTP_TIMEOUT_SECONDS."""
    WORKERS = "workers"
    """Another worker does not answer."""
    JWKS = "token_keys"
    """No key has been had yet to verify tokens with."""
    OTHER = "other"


class UnavailableError(ServiceError):
    """The service cannot answer right now; try again."""

    error_code = "SERVICE_UNAVAILABLE"
    cause: Cause = Cause.OTHER


class StoreUnavailableError(UnavailableError):
    """The database does not answer right now; try again."""

    def __init__(self, detail: str | None = None, *, cause: Cause | None = None) -> None:
        """`cause` is for operators."""
        super().__init__(detail)
        self.cause = cause or type(self).cause


class StoreBusyError(StoreUnavailableError):
    """Too much is under way at once; try again."""

    cause = Cause.BUSY


class DataRefusedError(ServiceError):
    """The database can never store this."""


def reason(error: BaseException) -> str:
    """Return the first line of an exception's text, or its type if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
