"""Identifies the caller (docs/contract.md, section 2, "Who is calling")."""

import hmac
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote_to_bytes

from multidict import CIMultiDictProxy

from rules.errors import AuthenticationRequiredError
from rules.identity import MAX_USER_ID, may_act

_USER: Final = "X-User-ID"
_KEY: Final = "X-Internal-API-Key"
_SERVICE: Final = "X-Service-ID"

#: A character has four bytes at most, each percent-encoded in three characters.
_MAX_ENCODED: Final = 12 * MAX_USER_ID
_MAX_SERVICE: Final = 255

_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

Headers = CIMultiDictProxy[str]


class Access(Enum):
    """Who may call a path."""

    ANYBODY = auto()
    USER = auto()
    SERVICE = auto()
    USER_OR_SERVICE = auto()


_AREAS: Final[Mapping[str, Access]] = {"/v1/": Access.USER, "/internal/v1/": Access.SERVICE}


def area_access(path: str) -> Access:
    """Return who may call an unknown path: others learn no more than from a known one."""
    for area, access in _AREAS.items():
        if f"{path}/".startswith(area):
            return access
    return Access.ANYBODY


def identify(access: Access, headers: Headers, internal_key: str | None) -> str | None:
    """Return the user's id, None if no user acts. Raises AuthenticationRequiredError."""
    if access is Access.ANYBODY:
        return None
    if access is Access.SERVICE or (access is Access.USER_OR_SERVICE and _KEY in headers):
        _check_service(headers, internal_key)
        return None
    return _user_id(headers)


def _check_service(headers: Headers, internal_key: str | None) -> None:
    given = headers.get(_KEY, "")
    matches = internal_key is not None and hmac.compare_digest(_raw(given), _raw(internal_key))
    service = headers.get(_SERVICE, "")
    named = len(service) <= _MAX_SERVICE and bool(service.strip())
    if not internal_key or not matches or not named:
        raise AuthenticationRequiredError("An internal path needs a valid key and a service id.")


def _user_id(headers: Headers) -> str:
    values = headers.getall(_USER, ())
    # Of two, one may be the caller's own and the other the gateway's.
    if len(values) != 1 or len(values[0]) > _MAX_ENCODED or _BROKEN_ESCAPE.search(values[0]):
        raise AuthenticationRequiredError
    try:
        user_id = unquote_to_bytes(_raw(values[0])).decode()
    except UnicodeDecodeError:
        raise AuthenticationRequiredError from None
    if not may_act(user_id):
        raise AuthenticationRequiredError
    return user_id


def _raw(header: str) -> bytes:
    """Return the bytes on the wire, which aiohttp decoded leniently."""
    return header.encode("utf-8", "surrogateescape")
