"""What schemathesis loads when it plays against the service: findings that are known to be false.

Each with its reason, and as narrow as it can be said. Everything else that it finds fails the test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import AuthScenario, IgnoredAuth, RejectedPositiveData


@dataclass(frozen=True)
class FalseFinding:
    """A finding that is none."""

    reason: str
    kind: type[Failure]
    applies: Callable[[Any, Response], bool]


def refused_with(detail: str) -> Callable[[Any, Response], bool]:
    """Return whether all that a 400 complains of is this."""

    def applies(_failure: Failure, response: Response) -> bool:
        if response.status_code != 400:
            return False
        faults = response.json().get("errors", [])
        return bool(faults) and all(fault["detail"] == detail for fault in faults)

    return applies


def _is_of_any_user(failure: IgnoredAuth, response: Response) -> bool:
    path = urlsplit(str(response.request.url)).path
    return failure.scenario is AuthScenario.INVALID_AUTH and path.startswith("/v1/")


def _has_empty_parameter(_failure: Failure, response: Response) -> bool:
    query = urlsplit(str(response.request.url)).query
    return any(value == "" for _, value in parse_qsl(query, keep_blank_values=True))


KNOWN: Final = (
    FalseFinding(
        "Any text names a user where no gateway's key is set: the gateway in front has checked it.",
        IgnoredAuth,
        _is_of_any_user,
    ),
    FalseFinding(
        "A parameter without a value counts as absent, as the description of the document says.",
        AcceptedNegativeData,
        _has_empty_parameter,
    ),
    FalseFinding(
        "A schema can say how many items a list has, but not how many bytes a body.",
        RejectedPositiveData,
        lambda _failure, response: response.status_code == 413,
    ),
    FalseFinding(
        "Cursors are opaque: only those that an answer has can be used.",
        RejectedPositiveData,
        refused_with("Must be a `next_cursor` that this path gave."),
    ),
    FalseFinding(
        "The patterns of JSON Schema cannot say, everywhere alike, which characters are visible.",
        RejectedPositiveData,
        refused_with("Must have a character that can be seen."),
    ),
    FalseFinding(
        "A schema cannot compare two lists.",
        RejectedPositiveData,
        refused_with("This class is also to be added."),
    ),
    FalseFinding(
        "JSON Schema's format is wider than the addresses that mail is sent to.",
        RejectedPositiveData,
        refused_with("Must be an email address."),
    ),
    FalseFinding(
        "What a name is after NFC is not for a pattern to say.",
        RejectedPositiveData,
        refused_with("Must not be so long once composed (NFC)."),
    ),
)


@schemathesis.hook
def filter_failure(_context: Any, failure: Failure, _case: Any, response: Response) -> bool:  # noqa: ANN401
    """Return whether a finding counts."""
    return not any(
        isinstance(failure, known.kind) and known.applies(failure, response) for known in KNOWN
    )
