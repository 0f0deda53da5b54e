"""Who is calling (docs/contract.md, section 2, "Who is calling")."""

import hmac
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote_to_bytes

from multidict import CIMultiDictProxy

from rules.errors import AuthenticationRequiredError
from rules.identity import is_user_id

_USER: Final = "X-User-ID"
_KEY: Final = "X-Internal-API-Key"
_SERVICE: Final = "X-Service-ID"

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
    """Return who may call a path that does not exist: others learn no more than elsewhere."""
    for area, access in _AREAS.items():
        if f"{path}/".startswith(area):
            return access
    return Access.ANYBODY


def identify(access: Access, headers: Headers, internal_key: str | None) -> str | None:
    """Return the calling user's id, None where no user acts.

    Raises AuthenticationRequiredError.
    """
    if access is Access.ANYBODY:
        return None
    if access is Access.SERVICE or (access is Access.USER_OR_SERVICE and _KEY in headers):
        _check_service(headers, internal_key)
        return None
    return _user_id(headers)


def _check_service(headers: Headers, internal_key: str | None) -> None:
    given = headers.get(_KEY, "")
    matches = internal_key is not None and hmac.compare_digest(_raw(given), _raw(internal_key))
    if not internal_key or not matches or not headers.get(_SERVICE, "").strip():
        raise AuthenticationRequiredError("An internal path needs a valid key and a service id.")


def _user_id(headers: Headers) -> str:
    values = headers.getall(_USER, ())
    # Of two, one may be the caller's own and the other the gateway's.
    if len(values) != 1 or _BROKEN_ESCAPE.search(values[0]):
        raise AuthenticationRequiredError
    try:
        user_id = unquote_to_bytes(_raw(values[0])).decode()
    except UnicodeDecodeError:
        raise AuthenticationRequiredError from None
    if not is_user_id(user_id):
        raise AuthenticationRequiredError
    return user_id


def _raw(header: str) -> bytes:
    """Return the bytes that came over the wire, which aiohttp decoded leniently."""
    return header.encode("utf-8", "surrogateescape")
