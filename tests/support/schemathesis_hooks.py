"""What schemathesis loads when it plays against the service: findings that are known to be false.

Each with its reason, and as narrow as it can be said. Everything else that it finds fails the test.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import (
    AuthScenario,
    IgnoredAuth,
    RejectedPositiveData,
    UndefinedStatusCode,
    UseAfterFree,
)

from web.documents.requests import TAGS_PATTERN


@dataclass(frozen=True)
class FalseFinding:
    """A finding that is none."""

    reason: str
    kind: type[Failure]
    applies: Callable[[Any, Response], bool]


#: Faults of requests that fit their schema, and why the schema cannot say them.
UNSAYABLE: Final[Mapping[str, str]] = {
    "Must be a `next_cursor` that this path gave.": "cursors are opaque",
    "Must have a character that can be seen.": "patterns do not say everywhere what is visible",
    "Must not be so long once composed (NFC).": "patterns do not compose",
    "Must be an email address.": "the format is wider than the addresses that mail is sent to",
    "Addresses of this domain belong to the service.": "a domain has many spellings",
    "This class is also to be added.": "schemas do not compare two lists",
    "This essay is decided twice, in different ways.": "schemas do not compare items",
    "This is the student itself.": "schemas do not compare a body with a path",
    "No essay of this batch has this id.": "it depends on what is stored",
    "This student is not in the batch's class.": "it depends on what is stored",
}


def _is_unsayable(_failure: Failure, response: Response) -> bool:
    if response.status_code != HTTPStatus.BAD_REQUEST:
        return False
    faults = response.json().get("errors", [])
    return bool(faults) and all(fault["detail"] in UNSAYABLE for fault in faults)


def _is_of_any_user(failure: IgnoredAuth, response: Response) -> bool:
    path = urlsplit(str(response.request.url)).path
    return failure.scenario is AuthScenario.INVALID_AUTH and path.startswith("/v1/")


def _has_empty_parameter(_failure: Failure, response: Response) -> bool:
    query = urlsplit(str(response.request.url)).query
    return any(value == "" for _, value in parse_qsl(query, keep_blank_values=True))


def _sends_no_tags(_failure: Failure, response: Response) -> bool:
    sent = [response.request.headers.get(name) for name in ("If-Match", "If-None-Match")]
    return any(one is not None and not re.fullmatch(TAGS_PATTERN, str(one)) for one in sent)


def _asks_for_null(_failure: Failure, response: Response) -> bool:
    return "None" in urlsplit(str(response.request.url)).path.split("/")


def _answers(*statuses: HTTPStatus) -> Callable[[Failure, Response], bool]:
    return lambda _failure, response: response.status_code in statuses


def _is_no_roster(_failure: Failure, response: Response) -> bool:
    path = urlsplit(str(response.request.url)).path.rstrip("/")
    is_upload = response.request.method == "POST" and path.endswith(("/import", "/imports"))
    is_refused = response.status_code == HTTPStatus.BAD_REQUEST
    return is_upload and is_refused and not response.json()["errors"]


def _is_history(_failure: Failure, response: Response) -> bool:
    return urlsplit(str(response.request.url)).path.rstrip("/").endswith("/history")


_TOO_LONG: Final = (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

KNOWN: Final = (
    FalseFinding("A schema cannot say it.", RejectedPositiveData, _is_unsayable),
    FalseFinding("A schema does not say what a file has.", RejectedPositiveData, _is_no_roster),
    FalseFinding(
        "A schema says how many items a list has, and not how many bytes a body.",
        RejectedPositiveData,
        _answers(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ),
    FalseFinding(
        "The header does not fit its pattern: where it makes none that does, it sends `0`.",
        RejectedPositiveData,
        _sends_no_tags,
    ),
    FalseFinding(
        "An id that is null in an answer is taken for one, and put into a path as `None`.",
        RejectedPositiveData,
        _asks_for_null,
    ),
    FalseFinding(
        "Whether a tag or a key fits depends on what is stored.",
        RejectedPositiveData,
        _answers(HTTPStatus.PRECONDITION_FAILED, HTTPStatus.UNPROCESSABLE_ENTITY),
    ),
    FalseFinding(
        "A parameter without a value counts as absent, as the description of the document says.",
        AcceptedNegativeData,
        _has_empty_parameter,
    ),
    FalseFinding(
        "It was refused: what is too long is not read, whatever it is.",
        AcceptedNegativeData,
        _answers(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, *_TOO_LONG),
    ),
    FalseFinding(
        "A head that is too long: the description of the document says it of every path.",
        UndefinedStatusCode,
        _answers(*_TOO_LONG),
    ),
    FalseFinding(
        "What is deleted keeps its history for as long as changes are kept.",
        UseAfterFree,
        _is_history,
    ),
    FalseFinding(
        "Any text names a user where no gateway's key is set: the gateway in front has checked it.",
        IgnoredAuth,
        _is_of_any_user,
    ),
)


@schemathesis.serializer("text/csv", "application/zip", "application/x-zip-compressed")
def write_file(_context: Any, value: object) -> bytes:  # noqa: ANN401
    """Return a file as it is sent."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_failure(_context: Any, failure: Failure, _case: Any, response: Response) -> bool:  # noqa: ANN401
    """Return whether a finding counts."""
    return not any(
        isinstance(failure, known.kind) and known.applies(failure, response) for known in KNOWN
    )
