"""Identifies the caller (docs/contract.md, section 2, "Who is calling")."""

import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from aiohttp import web
from multidict import CIMultiDictProxy, istr

from rules.errors import AuthenticationRequiredError
from rules.identity import MAX_USER_ID, may_act
from store.protocols.workers import WorkerRecord
from web import signatures
from web.claims import TokenError, TokenFault
from web.console.sessions import OPERATOR, Sessions
from web.errors import UnidentifiedError
from web.tokens import TokenCheck

# Each request is asked for these: an istr is found in half the time.
_USER: Final = istr("X-User-ID")
_KEY: Final = istr("X-Internal-API-Key")
_SERVICE: Final = istr("X-Service-ID")
_AUTHORIZATION: Final = istr("Authorization")
#: Of two, one may be the caller's own and the other the gateway's.
_ONCE: Final = (_USER, _KEY, _SERVICE, _AUTHORIZATION, istr(signatures.HEADER))

# Of schemes only Bearer is registered; the others name what a header of ours is for.
_BEARER_CHALLENGE: Final = 'Bearer realm="class-management"'
_GATEWAY_CHALLENGE: Final = 'Gateway realm="class-management"'
_SERVICE_CHALLENGE: Final = 'ApiKey realm="class-management-internal"'

#: A character has four bytes at most, each percent-encoded in three characters.
_MAX_ENCODED: Final = 12 * MAX_USER_ID
_MAX_SERVICE: Final = 255
#: Two megabytes, if all names are as long as they may be.
_KEPT_USERS: Final = 512

_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

Headers = CIMultiDictProxy[str]


class Access(Enum):
    """Who may call a path."""

    ANYBODY = auto()
    USER = auto()
    SERVICE = auto()
    USER_OR_SERVICE = auto()
    WORKER = auto()
    #: On the console's pages.
    TEACHER = auto()
    OPERATOR = auto()


INTERNAL: Final = frozenset({Access.SERVICE, Access.WORKER})
#: By cookies, or what a gateway adds to requests of browsers.
PAGES: Final = frozenset({Access.TEACHER, Access.OPERATOR})
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

    `own` returns None in a process that no worker asks; `tokens` is None where users need none,
    `sessions` where there are no pages.
    """

    keys: Sequence[str]
    own: Callable[[], WorkerRecord | None]
    tokens: TokenCheck | None = None
    sessions: Sessions | None = None


async def identify(access: Access, request: web.Request, gate: Gate) -> str | None:
    """Return the user's id, None if no user acts. Raises UnidentifiedError."""
    if access is Access.ANYBODY:
        return None
    try:
        if access in PAGES and gate.sessions is not None:
            signed_in = await _signed_in(access, request, gate.sessions)
            if signed_in is not None or access is Access.OPERATOR:
                return signed_in
        user_id = _named(access, request, gate)
        if gate.tokens is not None and user_id is not None:
            await gate.tokens.check(request.headers.get(_AUTHORIZATION, ""), user_id)
    except AuthenticationRequiredError as error:
        raise UnidentifiedError(error.detail, _challenges(access, gate, error)) from None
    return user_id


async def _signed_in(access: Access, request: web.Request, sessions: Sessions) -> str | None:
    """Return the teacher who is signed in for development; note the operator who is."""
    if access is Access.TEACHER:
        return await sessions.teacher(request)
    operator = sessions.operator(request)
    if operator is None:
        raise AuthenticationRequiredError("No operator is signed in.")
    request[OPERATOR] = operator
    return None


def _challenges(access: Access, gate: Gate, error: AuthenticationRequiredError) -> str:
    """Return how to say who is calling; of a token also that it was bad (RFC 6750, section 3)."""
    if access in INTERNAL or access is Access.OPERATOR:
        return _SERVICE_CHALLENGE
    bearer = _BEARER_CHALLENGE if gate.tokens else _GATEWAY_CHALLENGE
    if isinstance(error, TokenError) and error.fault is not TokenFault.MISSING:
        bearer += ', error="invalid_token"'
    return bearer if access in {Access.USER, Access.TEACHER} else f"{bearer}, {_SERVICE_CHALLENGE}"


def _named(access: Access, request: web.Request, gate: Gate) -> str | None:
    """Return whom the headers name; a user's token is still to be checked."""
    headers = request.headers
    for name in _ONCE:
        if len(headers.getall(name, ())) > 1:
            raise AuthenticationRequiredError(f"{name} came more than once.")
    if access is Access.WORKER and signatures.HEADER in headers:
        _check_worker(request, gate)
        return None
    # Workers of the version before send each other the key itself.
    if access in INTERNAL or (access is Access.USER_OR_SERVICE and _KEY in headers):
        _check_service(headers, gate.keys)
        return None
    return _user_id(headers.get(_USER, ""))


def _check_worker(request: web.Request, gate: Gate) -> None:
    given = request.headers[signatures.HEADER]
    own = gate.own()
    if own is not None:
        question = signatures.Question(request.method, request.raw_path, own)
        if question.is_signed(given, gate.keys, time.time()):
            return
    raise AuthenticationRequiredError("The signature is not one for this worker and this time.")


def _check_service(headers: Headers, keys: Sequence[str]) -> None:
    given = _raw(headers.get(_KEY, ""))
    # All are compared, so that the time does not tell which one it is.
    same = [hmac.compare_digest(given, _raw(key)) for key in keys]
    if not any(same):
        raise _refused(_KEY, given, "is not a key of this service")
    service = headers.get(_SERVICE, "")
    if not service.strip() or len(service) > _MAX_SERVICE:
        raise _refused(_SERVICE, service.strip(), f"has more than {_MAX_SERVICE} characters")


# Whoever asks once asks again.
@lru_cache(maxsize=_KEPT_USERS)
def _user_id(given: str) -> str:
    """Return the user that a header names."""
    user_id = _decoded(given)
    if user_id is None or not may_act(user_id):
        raise _refused(_USER, given.strip(), "names no user")
    return user_id


def _decoded(given: str) -> str | None:
    if len(given) > _MAX_ENCODED or _BROKEN_ESCAPE.search(given):
        return None
    try:
        return unquote_to_bytes(_raw(given)).decode()
    except UnicodeDecodeError:
        return None


def _refused(name: str, given: str | bytes, fault: str) -> AuthenticationRequiredError:
    """Say which header is at fault, never what it has."""
    return AuthenticationRequiredError(f"{name} {fault if given else 'is missing'}.")


def _raw(header: str) -> bytes:
    """Return the bytes on the wire, which aiohttp decoded leniently."""
    return header.encode("utf-8", "surrogateescape")
