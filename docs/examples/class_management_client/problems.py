"""What the service refuses, as exceptions (RFC 9457, application/problem+json)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx


@dataclass(frozen=True)
class Fault:
    """One fault of what was sent: `pointer` is a JSON Pointer into the body, or a parameter."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """The service has not done what it was asked for."""


class NoAnswerError(ServiceError):
    """No answer came, however often the request was sent."""


class ProblemError(ServiceError):
    """The service has refused. Give `correlation_id` to those who run it when you ask them why."""

    def __init__(self, response: httpx.Response, document: dict[str, Any]) -> None:
        """Take the members that every problem has, and those that some have."""
        self.status = response.status_code
        self.code: str = document.get("error_code", "")
        self.detail: str = document.get("detail", response.reason_phrase)
        self.correlation_id: str = response.headers.get("X-Correlation-ID", "")
        self.faults = tuple(
            Fault(fault["pointer"], fault["detail"]) for fault in document.get("errors", ())
        )
        super().__init__(f"{self.status} {self.code}: {self.detail}")
        in_the_way = document.get("student_id")
        #: Your own student who has what you wanted to give to another.
        self.student_id = UUID(in_the_way) if in_the_way else None
        class_in_the_way = document.get("class_id")
        #: The same of a class.
        self.class_id = UUID(class_in_the_way) if class_in_the_way else None


class InvalidError(ProblemError):
    """What was sent is not right: `faults` say what and where."""


class NotSignedInError(ProblemError):
    """The service does not know who you are."""


class NotFoundError(ProblemError):
    """It is not there, or is somebody else's."""


class ConflictError(ProblemError):
    """It cannot be done as things stand: `code` says why."""


class EmailTakenError(ConflictError):
    """Another student of yours has this address: `student_id` says who."""


class ChangedMeanwhileError(ProblemError):
    """It is not any more what you read: read it again."""


class KeyReusedError(ProblemError):
    """The key belongs to another request: a fault of the program."""


class BusyError(ProblemError):
    """The service has too much to do, or cannot reach its database; waiting did not help."""


_BY_CODE: dict[str, type[ProblemError]] = {"STUDENT_EMAIL_CONFLICT": EmailTakenError}
_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidError,
    401: NotSignedInError,
    404: NotFoundError,
    409: ConflictError,
    412: ChangedMeanwhileError,
    422: KeyReusedError,
    429: BusyError,
    503: BusyError,
}


def problem_of(response: httpx.Response) -> ProblemError:
    """Return the exception that a refusal is."""
    document = _document(response)
    of_status = _BY_STATUS.get(response.status_code, ProblemError)
    return _BY_CODE.get(document.get("error_code", ""), of_status)(response, document)


def _document(response: httpx.Response) -> dict[str, Any]:
    """Return the problem of an answer; none where something between has answered."""
    kind = response.headers.get("Content-Type", "")
    if not kind.startswith("application/problem+json"):
        return {}
    document: dict[str, Any] = response.json()
    return document
