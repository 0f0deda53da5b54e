"""What the service refuses, and why.

Each class carries the `error_code` of docs/contract.md, section 2, "Errors"; its docstring is the
default message, so that a refusal has one text. Messages hold no names and no emails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of an input: `pointer` is a JSON Pointer (RFC 6901) into the body."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Something went wrong inside the service."""

    error_code: ClassVar[str] = "INTERNAL_ERROR"
    #: The members of an input that are at fault.
    errors: tuple[FieldError, ...] = ()

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


class BatchConflictError(ServiceError):
    """An essay of this batch has already been decided otherwise."""

    error_code = "BATCH_CONFLICT"


class IdempotencyConflictError(ServiceError):
    """The id is taken, and not by the same content: choose another one."""

    error_code = "IDEMPOTENCY_CONFLICT"


class StoreUnavailableError(ServiceError):
    """The database does not answer right now; try again."""

    error_code = "SERVICE_UNAVAILABLE"


class DataRefusedError(ServiceError):
    """The database can never store this."""
