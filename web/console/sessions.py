"""Who is signed in on a page, by a cookie (docs/contract.md, section 2 and 6).

An operator signs in with the internal key, for a short while. A teacher is whom the gateway names;
only where the service runs for development there is a page to say who one is.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import orjson
from aiohttp import web

from rules.identity import may_act
from web.console.tokens import derived, form_token, is_form_token, opened, signed

TEACHER_COOKIE: Final = "console_user"
OPERATOR_COOKIE: Final = "console_operator"

#: How long an operator is signed in, from the last page asked for.
OPERATOR_SECONDS: Final = 3600
#: And at most: a page that asks for news by itself would keep it signed in for good.
OPERATOR_MOST_SECONDS: Final = 10 * 3600
#: How long an operator may act, from when that was switched on.
ACTING_SECONDS: Final = 900

_SESSION: Final = "console session"
_FORMS: Final = "console forms"


class SignIn(StrEnum):
    """How teachers say who they are."""

    GATEWAY = "gateway"
    DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator who is signed in; instants are in seconds since 1970.

    `name` is what the operator said, for the log. It is signed in `until` then if no page is asked
    for meanwhile, and until `last` at most. `acting_until` is 0 where nothing may be changed.
    """

    name: str
    session: str
    until: int
    last: int
    acting_until: int = 0

    @property
    def is_acting(self) -> bool:
        """Whether it has switched acting on, not long ago."""
        return time.time() < self.acting_until

    @property
    def acting_ends(self) -> datetime:
        """When acting ends by itself."""
        return datetime.fromtimestamp(self.acting_until, UTC)


def new_operator(name: str) -> Operator:
    """Return an operator who has just signed in."""
    now = int(time.time())
    session = secrets.token_urlsafe(16)
    return Operator(name, session, now + OPERATOR_SECONDS, now + OPERATOR_MOST_SECONDS)


def switched(operator: Operator, *, acting: bool) -> Operator:
    """Return an operator who may act from now on, or may not any more."""
    return replace(operator, acting_until=int(time.time()) + ACTING_SECONDS if acting else 0)


@dataclass(frozen=True, slots=True)
class Sessions:
    """Reads and writes the cookies.

    `keys` are the internal keys, of which the first one is to be used. `teachers_key` returns a
    secret that all processes of the service have.
    """

    keys: Sequence[str]
    sign_in: SignIn
    teachers_key: Callable[[], Awaitable[bytes]]

    @property
    def is_development(self) -> bool:
        """Whether teachers say who they are on a page, and are believed."""
        return self.sign_in is SignIn.DEVELOPMENT

    async def teacher(self, request: web.Request) -> str | None:
        """Return the id of who is signed in for development."""
        value = request.cookies.get(TEACHER_COOKIE)
        if not self.is_development or value is None:
            return None
        user_id = opened(value, [derived(await self.teachers_key(), _SESSION)])
        return user_id if user_id is not None and may_act(user_id) else None

    async def remember_teacher(self, response: web.StreamResponse, user_id: str) -> None:
        """Have the browser say that it is this user."""
        value = signed(user_id, derived(await self.teachers_key(), _SESSION))
        _set(response, TEACHER_COOKIE, value, None)

    def operator(self, request: web.Request) -> Operator | None:
        """Return who is signed in as an operator."""
        text = opened(request.cookies.get(OPERATOR_COOKIE, ""), self._operator_keys(_SESSION))
        operator = None if text is None else _read(text)
        return operator if operator is not None and time.time() < operator.until else None

    def remember_operator(self, response: web.StreamResponse, operator: Operator) -> None:
        """Have the browser say that it is this operator."""
        members = orjson.dumps([getattr(operator, name) for name in _MEMBERS])
        value = signed(members.decode(), self._operator_keys(_SESSION)[0])
        _set(response, OPERATOR_COOKIE, value, OPERATOR_SECONDS)

    def renew(
        self, response: web.StreamResponse, operator: Operator, after: float = OPERATOR_SECONDS / 2
    ) -> None:
        """Keep who asks for pages signed in; `after` seconds of the time that it is."""
        now = int(time.time())
        until = min(now + OPERATOR_SECONDS, operator.last)
        if operator.until - now < OPERATOR_SECONDS - after and until > operator.until:
            self.remember_operator(response, replace(operator, until=until))

    async def form_token(self, person: "str | Operator") -> str:
        """Return what forms on a page for a teacher, or for an operator, have."""
        return form_token(_named(person), (await self._form_keys(person))[0])

    async def is_form_token(self, token: str, person: "str | Operator") -> bool:
        """Whether a form came from a page for the same person."""
        return is_form_token(token, _named(person), await self._form_keys(person))

    async def _form_keys(self, person: "str | Operator") -> list[bytes]:
        if isinstance(person, Operator):
            return self._operator_keys(_FORMS)
        return [derived(await self.teachers_key(), _FORMS)]

    def _operator_keys(self, purpose: str) -> list[bytes]:
        return [derived(key.encode(), purpose) for key in self.keys]


OPERATOR: Final = web.RequestKey("console_operator", Operator)


_MEMBERS: Final = tuple(field.name for field in fields(Operator))


def _read(text: str) -> Operator | None:
    """Read what a cookie had; None of a version that writes others."""
    members = orjson.loads(text)
    return Operator(*members) if len(members) == len(_MEMBERS) else None


def forget(response: web.StreamResponse, cookie: str) -> None:
    """Have the browser forget a cookie."""
    response.del_cookie(cookie, path="/console")


def _set(response: web.StreamResponse, name: str, value: str, seconds: int | None) -> None:
    response.set_cookie(
        name, value, path="/console", httponly=True, samesite="Strict", max_age=seconds
    )


def _named(person: "str | Operator") -> str:
    return f"operator {person.session}" if isinstance(person, Operator) else f"teacher {person}"
