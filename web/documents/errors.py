"""The errors that an operation can answer with: its own, and those that what it takes implies."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from uuid import UUID

import orjson

from rules.errors import (
    AuthenticationRequiredError,
    EmailConflictError,
    ExternalIdConflictError,
    FieldError,
    KeyReusedError,
    KeyUnderWayError,
    PreconditionFailedError,
    ServiceError,
    TooManyRequestsError,
    UnavailableError,
    ValidationFailedError,
)
from rules.events.envelopes import to_json
from web.bodies import only_of
from web.errors import BadRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from web.identity import Access
from web.operations import Operation, Tag
from web.problems import problem_document, status_of

#: Where a user acts, of whom so many requests are under way.
_USERS: Final = frozenset({Access.USER, Access.USER_OR_SERVICE})

#: Of the examples.
CORRELATION_ID: Final = UUID("0198f1c2-8d57-7c3e-9f0a-3b1d5e7c9a11")
STUDENT_ID: Final = UUID("0198f1c0-52aa-7d20-8a34-6c1f0e9b7d02")
CLASS_ID: Final = UUID("0198f1bf-0e4a-7b1c-a6d5-2f8e4c6a1b01")


def errors_of(operation: Operation) -> dict[HTTPStatus, list[ServiceError]]:
    """Return an example of each error, by status, in the order of the statuses."""
    found: dict[HTTPStatus, list[ServiceError]] = {}
    for error in _all(operation):
        same = found.setdefault(status_of(error), [])
        if error.error_code not in {one.error_code for one in same}:
            same.append(error)
    return dict(sorted(found.items()))


def _all(operation: Operation) -> Iterator[ServiceError]:
    if fault := _possible_fault(operation):
        yield ValidationFailedError(errors=[fault])
    if operation.access is not Access.ANYBODY:
        yield AuthenticationRequiredError()
    yield from (_example(error, operation) for error in operation.errors)
    if operation.takes_match:
        yield PreconditionFailedError()
    if operation.takes_key:
        yield KeyUnderWayError()
        yield KeyReusedError()
    if operation.access in _USERS:
        yield TooManyRequestsError()
    if operation.takes_body:
        yield BadRequestError(HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time.")
        yield PayloadTooLargeError()
        uploads = operation.uploads
        yield UnsupportedMediaTypeError(only_of(uploads) if uploads else None)
    yield ServiceError()
    yield UnavailableError()


def _possible_fault(operation: Operation) -> FieldError | None:
    """Return what can be wrong with the form of a request, None if it has nothing to it."""
    if operation.body is not None:
        return FieldError(f"/{next(iter(operation.body.model_fields))}", "Field required")
    if operation.ids:
        return FieldError(f"/{operation.ids[0]}", "Must be a UUID.")
    if operation.parameters:
        return FieldError(f"/{operation.parameters[0].name}", "Cannot be used.")
    if operation.has_tag:
        return FieldError("/If-None-Match", "Must be * or a list of tags in quotation marks.")
    return None


def _example(error: type[ServiceError], operation: Operation) -> ServiceError:
    """Return an error with the id of what is in the way, where it has one."""
    if error is EmailConflictError:
        return EmailConflictError(student_id=STUDENT_ID)
    if error is ExternalIdConflictError and operation.tag is Tag.CLASSES:
        return ExternalIdConflictError(class_id=CLASS_ID)
    if error is ExternalIdConflictError:
        return ExternalIdConflictError(student_id=STUDENT_ID)
    return error()


def problem_example(error: ServiceError, path: str) -> dict[str, object]:
    """Return a problem as it is answered at `path`, as JSON has it."""
    example: dict[str, object] = orjson.loads(
        to_json(problem_document(error, path, CORRELATION_ID))
    )
    return example
