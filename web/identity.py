"""Identifies the caller (docs/contract.md, section 2, "Who is calling")."""

import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web
from multidict import CIMultiDictProxy

from rules.errors import AuthenticationRequiredError
from rules.identity import MAX_USER_ID, may_act
from store.protocols.workers import WorkerRecord
from web import signatures
from web.claims import TokenError, TokenFault
from web.errors import UnidentifiedError
from web.tokens import TokenCheck

_USER: Final = "X-User-ID"
_KEY: Final = "X-Internal-API-Key"
_SERVICE: Final = "X-Service-ID"
_AUTHORIZATION: Final = "Authorization"
#: Of two, one may be the caller's own and the other the gateway's.
_ONCE: Final = (_USER, _KEY, _SERVICE, _AUTHORIZATION, signatures.HEADER)

# Of schemes only Bearer is registered; the others name what a header of ours is for.
_BEARER_CHALLENGE: Final = 'Bearer realm="class-management"'
_GATEWAY_CHALLENGE: Final = 'Gateway realm="class-management"'
_SERVICE_CHALLENGE: Final = 'ApiKey realm="class-management-internal"'

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
    WORKER = auto()


_SERVICES: Final = frozenset({Access.SERVICE, Access.WORKER})
_AREAS: Final[Mapping[str, Access]] = {"/v1/": Access.USER, "/internal/v1/": Access.SERVICE}


def area_access(path: str) -> Access:
    """Return who may call an unknown path: others learn no more than from a known one."""
    for area, access in _AREAS.items():
        if f"{path}/".startswith(area):
            return access
    return Access.ANYBODY


@dataclass(frozen=True, slots=True)
class Gate:
    """What callers are compared with: the internal keys, and who this process is to other workers.

    `own` is None in a process that no worker asks, `tokens` where users need none.
    """

    keys: Sequence[str]
    own: WorkerRecord | None
    tokens: TokenCheck | None = None


async def identify(access: Access, request: web.Request, gate: Gate) -> str | None:
    """Return the user's id, None if no user acts. Raises UnidentifiedError."""
    if access is Access.ANYBODY:
        return None
    try:
        return await _identified(access, request, gate)
    except AuthenticationRequiredError as error:
        raise UnidentifiedError(error.detail, _challenges(access, gate, error)) from None


def _challenges(access: Access, gate: Gate, error: AuthenticationRequiredError) -> str:
    """Return how to say who is calling; of a token also that it was bad (RFC 6750, section 3)."""
    if access in _SERVICES:
        return _SERVICE_CHALLENGE
    bearer = _BEARER_CHALLENGE if gate.tokens else _GATEWAY_CHALLENGE
    if isinstance(error, TokenError) and error.fault is not TokenFault.MISSING:
        bearer += ', error="invalid_token"'
    return bearer if access is Access.USER else f"{bearer}, {_SERVICE_CHALLENGE}"


async def _identified(access: Access, request: web.Request, gate: Gate) -> str | None:
    headers = request.headers
    if any(len(headers.getall(name, ())) > 1 for name in _ONCE):
        raise AuthenticationRequiredError("A header that says who is calling came twice.")
    if access is Access.WORKER and signatures.HEADER in headers:
        _check_worker(request, gate)
        return None
    # Workers of the version before send each other the key itself.
    if access in _SERVICES or (access is Access.USER_OR_SERVICE and _KEY in headers):
        _check_service(headers, gate.keys)
        return None
    user_id = _user_id(headers)
    if gate.tokens is not None:
        await gate.tokens.check(headers.get(_AUTHORIZATION, ""), user_id)
    return user_id


def _check_worker(request: web.Request, gate: Gate) -> None:
    given = request.headers[signatures.HEADER]
    if gate.own is not None:
        question = signatures.Question(request.method, request.raw_path, gate.own)
        if question.is_signed(given, gate.keys, time.time()):
            return
    raise AuthenticationRequiredError("The signature is not one for this worker and this time.")


def _check_service(headers: Headers, keys: Sequence[str]) -> None:
    given = _raw(headers.get(_KEY, ""))
    # All are compared, so that the time does not tell which one it is.
    same = [hmac.compare_digest(given, _raw(key)) for key in keys]
    service = headers.get(_SERVICE, "")
    named = len(service) <= _MAX_SERVICE and bool(service.strip())
    if not any(same) or not named:
        raise AuthenticationRequiredError("An internal path needs a valid key and a service id.")


def _user_id(headers: Headers) -> str:
    given = headers.get(_USER, "")
    if len(given) > _MAX_ENCODED or _BROKEN_ESCAPE.search(given):
        raise AuthenticationRequiredError
    try:
        user_id = unquote_to_bytes(_raw(given)).decode()
    except UnicodeDecodeError:
        raise AuthenticationRequiredError from None
    if not may_act(user_id):
        raise AuthenticationRequiredError
    return user_id


def _raw(header: str) -> bytes:
    """Return the bytes on the wire, which aiohttp decoded leniently."""
    return header.encode("utf-8", "surrogateescape")
