"""Problem details (RFC 9457), the form of every error."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.errors import KeyUnderWayError, ServiceError, StoreBusyError
from rules.events.envelopes import to_json
from rules.inputs import MAX_FAULTS
from web.errors import (
    BadRequestError,
    MethodNotAllowedError,
    UnidentifiedError,
    WorkersUnreachableError,
)

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1

#: What need not be so for long.
_PASSING: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Problem:
    """The status and title of an `error_code`."""

    status: HTTPStatus
    title: str


PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType(
    {
        "VALIDATION_ERROR": Problem(HTTPStatus.BAD_REQUEST, "Invalid request"),
        "BAD_REQUEST": Problem(HTTPStatus.BAD_REQUEST, "Bad request"),
        "MULTIPLE_COURSE_ERROR": Problem(HTTPStatus.BAD_REQUEST, "More than one course"),
        "AUTHENTICATION_REQUIRED": Problem(HTTPStatus.UNAUTHORIZED, "Authentication required"),
        "COURSE_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Course not found"),
        "CLASS_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Class not found"),
        "STUDENT_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Student not found"),
        "BATCH_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Batch not found"),
        "ESSAY_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Essay not found"),
        "IMPORT_NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Import not found"),
        "NOT_FOUND": Problem(HTTPStatus.NOT_FOUND, "Not found"),
        "METHOD_NOT_ALLOWED": Problem(HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
        "NOT_ACCEPTABLE": Problem(HTTPStatus.NOT_ACCEPTABLE, "Not acceptable"),
        "STUDENT_EMAIL_CONFLICT": Problem(HTTPStatus.CONFLICT, "Email already in use"),
        "EXTERNAL_ID_CONFLICT": Problem(HTTPStatus.CONFLICT, "External id already in use"),
        "PLACEHOLDER_STUDENT": Problem(HTTPStatus.CONFLICT, "The UNKNOWN student of a class"),
        "BATCH_CONFLICT": Problem(HTTPStatus.CONFLICT, "Not possible as the essay stands"),
        "IMPORT_CONFLICT": Problem(HTTPStatus.CONFLICT, "Not possible as the import stands"),
        "TOO_LARGE_CHANGE": Problem(HTTPStatus.CONFLICT, "A large change"),
        "RESYNC_REQUIRED": Problem(HTTPStatus.GONE, "Cursor no longer valid"),
        "PRECONDITION_FAILED": Problem(HTTPStatus.PRECONDITION_FAILED, "Changed meanwhile"),
        "PAYLOAD_TOO_LARGE": Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Body too large"),
        "UNSUPPORTED_MEDIA_TYPE": Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"
        ),
        "IDEMPOTENCY_CONFLICT": Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Key already in use"),
        "TOO_MANY_REQUESTS": Problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests at once"),
        "INTERNAL_ERROR": Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
        "SERVICE_UNAVAILABLE": Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
    }
)

# An internal error has a fixed text, since the exception's may quote SQL.
_FIXED_DETAILS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "INTERNAL_ERROR": "Something went wrong inside the service.",
        "SERVICE_UNAVAILABLE": "The service cannot answer right now; try again.",
    }
)


def problem_answer(error: ServiceError, instance: str, correlation_id: UUID) -> web.Response:
    """Return the response for `error`; `instance` is the request's path."""
    status = status_of(error)
    document = problem_document(error, instance, correlation_id)
    headers = {"Content-Type": CONTENT_TYPE, **problem_headers(error)}
    return web.Response(body=to_json(document), status=status, headers=headers)


def status_of(error: ServiceError) -> HTTPStatus:
    """Return the status that says it."""
    if isinstance(error, KeyUnderWayError):
        return HTTPStatus.CONFLICT
    return error.status if isinstance(error, BadRequestError) else PROBLEMS[error.error_code].status


def passes(error: ServiceError) -> bool:
    """Whether the same request may succeed a moment later."""
    return status_of(error) in _PASSING or isinstance(error, KeyUnderWayError)


def problem_document(error: ServiceError, instance: str, correlation_id: UUID) -> dict[str, object]:
    """Return the members of the answer to a request at the path `instance`."""
    code, status = error.error_code, status_of(error)
    document: dict[str, object] = {
        "type": problem_type(code),
        "title": PROBLEMS[code].title,
        "status": status,
        "detail": _detail(error),
        "instance": instance,
        "error_code": code,
        "correlation_id": correlation_id,
    }
    if status is HTTPStatus.BAD_REQUEST:
        document["errors"] = [
            {"pointer": fault.pointer, "detail": fault.detail}
            for fault in error.errors[:MAX_FAULTS]
        ]
    if error.student_id is not None:
        document["student_id"] = error.student_id
    if error.class_id is not None:
        document["class_id"] = error.class_id
    return document


def problem_type(error_code: str) -> str:
    """Return the URI of a kind of problem; it never changes."""
    return f"urn:huleedu:class-management:problem:{error_code.lower().replace('_', '-')}"


def _detail(error: ServiceError) -> str:
    if isinstance(error, WorkersUnreachableError | StoreBusyError):
        return error.detail
    return _FIXED_DETAILS.get(error.error_code, error.detail)


def problem_headers(error: ServiceError) -> Mapping[str, str]:
    """Return the headers of its answer: what to do about it, for programs."""
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, UnidentifiedError):
        return {"WWW-Authenticate": error.challenges}
    if passes(error):
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}
