"""Who may see what on the console: each page and form, by every way to say who one is.

Pages and forms come from the table, so that a new one is tried from its first day.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from multidict import CIMultiDict

from rules.models import Policy
from telemetry.metrics import Metrics
from tests.integration.web import fakes
from tests.integration.web.api import INTERNAL_KEY, TEACHER, Api, Setup, desk_of, serving
from tests.integration.web.callers import ALWAYS, USER, WITH_TOKENS, WITHOUT_TOKENS, Case
from tests.integration.web.console.people import (
    PAGES,
    SERVED,
    Signer,
    as_operator,
    as_teacher,
    cookie,
    is_let_in,
    path_of,
    who_on,
)
from tests.integration.web.fakes import FakeBackend, FakeStatus, Misbehaving
from tests.support.stores import memory_stores
from tests.support.tokens import AUDIENCE, ec_signer
from web.console.desk import Desk
from web.console.figures import Figures
from web.console.sessions import OPERATOR_COOKIE, TEACHER_COOKIE, SignIn, new_operator
from web.console.tokens import derived, signed
from web.console.views import sign_in, stream
from web.identity import Access
from web.key_ring import KeyRing
from web.notifications.streams import Streams
from web.token_keys import keys_of_pem
from web.tokens import TokenCheck

SECRET: Final = b"what all processes of this service have"
OTHER_KEY: Final = "another key"
SIGNER: Final = Signer(SECRET)
OPERATOR: Final = SIGNER.operator()

#: What pages hear of is no page, and opens to the same.
DOORS: Final = [*PAGES, *stream.OPERATIONS]

NOBODY: Final = frozenset[Access]()
TEACHERS: Final = frozenset({Access.TEACHER})
OPERATORS: Final = frozenset({Access.OPERATOR})

Headers = Mapping[str, str]


@dataclass(frozen=True)
class ByCookie:
    """What a browser sends, and to which kinds of page it opens the door for development."""

    name: str
    headers: Callable[[], Awaitable[Headers]]
    opens: frozenset[Access] = NOBODY


def given(headers: Headers) -> Callable[[], Awaitable[Headers]]:
    async def made() -> Headers:
        return headers

    return made


def by_teacher(
    change: Callable[[str], str], signer: Signer = SIGNER
) -> Callable[..., Awaitable[Headers]]:
    async def made() -> Headers:
        return as_teacher(change(await signer.teacher()))

    return made


async def _teacher_as_operator() -> Headers:
    return as_operator(await SIGNER.teacher())


async def _both() -> Headers:
    teacher = as_teacher(await SIGNER.teacher())
    return {"Cookie": f"{teacher['Cookie']}; {as_operator(OPERATOR)['Cookie']}"}


async def _form_token_as_cookie() -> Headers:
    return as_teacher(await SIGNER.sessions.form_token("lärare-1"))


def same(value: str) -> str:
    return value


def other_text(value: str) -> str:
    """Return a cookie with another user's id, and the signature that was there."""
    return f"bMOkcmFyZS0y.{value.rpartition('.')[2]}"


def other_end(value: str) -> str:
    return value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB")


COOKIES: Final = (
    ByCookie("a teacher", by_teacher(same), TEACHERS),
    ByCookie("an operator", given(as_operator(OPERATOR)), OPERATORS),
    ByCookie("both", _both, TEACHERS | OPERATORS),
    ByCookie("a teacher with another id", by_teacher(other_text)),
    ByCookie("a teacher with another signature", by_teacher(other_end)),
    ByCookie("a teacher without a signature", by_teacher(lambda one: one.partition(".")[0])),
    ByCookie("a teacher of another service", by_teacher(same, Signer(b"another secret"))),
    ByCookie(
        "a teacher, signed by the operators' key",
        given(as_teacher(signed("lärare-1", derived(INTERNAL_KEY.encode(), "console session")))),
    ),
    ByCookie(
        "a teacher, signed for another purpose",
        given(as_teacher(signed("lärare-1", derived(SECRET, "console forms")))),
    ),
    ByCookie("a form's token for a teacher", _form_token_as_cookie),
    ByCookie(
        "the clock", given(as_teacher(signed("SYSTEM_TIMEOUT", derived(SECRET, "console session"))))
    ),
    ByCookie(
        "a user who is blank", given(as_teacher(signed(" ", derived(SECRET, "console session"))))
    ),
    ByCookie("an operator for a teacher", given(as_teacher(OPERATOR))),
    ByCookie("a teacher for an operator", _teacher_as_operator),
    ByCookie("an operator with another signature", given(as_operator(other_end(OPERATOR)))),
    ByCookie(
        "an operator by another key", given(as_operator(Signer(SECRET, OTHER_KEY).operator()))
    ),
    ByCookie(
        "an operator, signed by the teachers' key",
        given(as_operator(signed(OPERATOR, derived(SECRET, "console session")))),
    ),
    ByCookie(
        "an operator of yesterday", given(as_operator(SIGNER.operator_until(time.time() - 1)))
    ),
    ByCookie(
        "an operator of another version",
        given(
            as_operator(
                signed('["Eva","x",9999999999]', derived(INTERNAL_KEY.encode(), "console session"))
            )
        ),
    ),
    ByCookie("the key itself", given(as_operator("intern-schl%C3%BCssel"))),
    ByCookie("no text", given(cookie(TEACHER_COOKIE, "\udcff.\udcfe"))),
    ByCookie("no text for an operator", given(cookie(OPERATOR_COOKIE, "\udcff.\udcfe"))),
    ByCookie("an empty one", given(cookie(OPERATOR_COOKIE, ""))),
    ByCookie("dots", given(cookie(OPERATOR_COOKIE, "..."))),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who guesses has to wait; nobody here guesses."""
    monkeypatch.setattr(sign_in, "_WRONG_SECONDS", 0)


class _KeyAlone(Misbehaving):
    async def cursor_key(self) -> bytes:
        return SECRET


def behind_nothing(how: SignIn, tokens: TokenCheck | None = None) -> Setup:
    broken = _KeyAlone(fakes.unavailable)
    figures = Figures(broken, 1)  # type: ignore[arg-type]  # meets every protocol
    status = FakeStatus().now
    desk = Desk(broken, broken, figures, status, broken, broken)  # type: ignore[arg-type]  # likewise
    streams = Streams(lambda _: None)
    streams.end()
    return Setup(
        FakeBackend.all_of(broken),
        inspection=broken,
        tokens=tokens,
        sign_in=how,
        desk=desk,
        streams=streams,
    )


@pytest.fixture
async def development(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(behind_nothing(SignIn.DEVELOPMENT), tmp_path, SERVED) as api:
        yield api


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(behind_nothing(SignIn.GATEWAY), tmp_path, SERVED) as api:
        yield api


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    """Have a server that wants tokens of teachers."""
    metrics = Metrics()
    ring = KeyRing(metrics, keys_of_pem(ec_signer().pem))
    setup = behind_nothing(SignIn.GATEWAY, TokenCheck(ring, [AUDIENCE], metrics))
    async with serving(setup, tmp_path, SERVED) as api:
        yield api


async def opened_to(api: Api, headers: CIMultiDict[str]) -> list[str]:
    """Return the pages and forms that open to somebody."""
    found = []
    for one in DOORS:
        form = {"Content-Type": "application/x-www-form-urlencoded"} if one.method == "POST" else {}
        sent = CIMultiDict([*headers.items(), *form.items()])
        reply = await api.send(one.method, path_of(one), user=None, headers=sent)
        assert reply.status != 500, (one.name, reply.body)
        if is_let_in(one, reply):
            found.append(one.name)
        elif reply.status == 401:
            assert reply.headers["WWW-Authenticate"]
    return found


def open_pages(opens: frozenset[Access]) -> list[str]:
    return [one.name for one in DOORS if one.access in opens | {Access.ANYBODY}]


def for_teachers(case: Case) -> frozenset[Access]:
    return TEACHERS if Access.USER in case.opens else NOBODY


@pytest.mark.parametrize("case", [*ALWAYS, *WITH_TOKENS], ids=lambda one: one.name)
async def test_by_headers_with_tokens(guarded: Api, case: Case) -> None:
    found = await opened_to(guarded, CIMultiDict(case.headers))
    assert found == open_pages(for_teachers(case))


@pytest.mark.parametrize("case", [*ALWAYS, *WITHOUT_TOKENS], ids=lambda one: one.name)
async def test_by_headers_without_tokens(gateway: Api, case: Case) -> None:
    found = await opened_to(gateway, CIMultiDict(case.headers))
    assert found == open_pages(for_teachers(case))


@pytest.mark.parametrize("case", COOKIES, ids=lambda one: one.name)
async def test_by_cookies_for_development(development: Api, case: ByCookie) -> None:
    found = await opened_to(development, CIMultiDict(await case.headers()))
    assert found == open_pages(case.opens)


@pytest.mark.parametrize("case", COOKIES, ids=lambda one: one.name)
async def test_by_cookies_where_the_gateway_says_it(gateway: Api, case: ByCookie) -> None:
    found = await opened_to(gateway, CIMultiDict(await case.headers()))
    assert found == open_pages(case.opens & OPERATORS)


@pytest.mark.parametrize("case", COOKIES, ids=lambda one: one.name)
async def test_cookies_open_nothing_of_the_api(development: Api, case: ByCookie) -> None:
    headers = await case.headers()
    for path in ("/v1/classes", "/internal/v1/tables"):
        assert (await development.get(path, user=None, headers=headers)).status == 401


async def test_who_is_signed_in_is_whom_the_cookie_names(development: Api) -> None:
    headers = {**as_teacher(await SIGNER.teacher("Åsa <b>")), **USER}
    reply = await development.get("/console/probe", user=None, headers=headers)
    assert who_on(reply) == "Åsa <b>"


async def test_where_the_gateway_says_who_it_is_the_cookie_does_not(gateway: Api) -> None:
    headers = {**as_teacher(await SIGNER.teacher("another")), **USER}
    reply = await gateway.get("/console/probe", user=None, headers=headers)
    assert who_on(reply) == TEACHER


async def test_a_rotated_key_ends_what_it_had_signed(tmp_path: Path) -> None:
    """The new key is the first one, the old one counts until it is taken out."""
    async with memory_stores(Policy()) as stores:
        for keys, lets_in in ((("new", INTERNAL_KEY), True), (("new",), False), ((), False)):
            desk = desk_of(stores)
            setup = Setup(stores, keys=keys, desk=desk)
            async with serving(setup, tmp_path, SERVED) as api:
                found = await opened_to(api, CIMultiDict(as_operator(OPERATOR)))
            assert found == open_pages(OPERATORS if lets_in else NOBODY)


def test_an_operator_is_signed_in_for_hours_at_most() -> None:
    operator = new_operator("Eva")
    assert operator.until < operator.last <= time.time() + 12 * 3600


def test_what_anybody_may_open_is_about_signing_in() -> None:
    found = {one.path for one in PAGES if one.access is Access.ANYBODY}
    assert found == {
        "/console/language",
        "/console/sign-in",
        "/console/sign-in/operator",
        "/console/sign-out",
    }


async def test_the_service_without_pages_has_none(tmp_path: Path) -> None:
    async with (
        memory_stores(Policy()) as stores,
        serving(Setup(stores, console=False), tmp_path) as api,
    ):
        for one in (*map(path_of, PAGES), "/", "/console/static/console.css"):
            (await api.get(one, user=None, headers={"Accept": "text/html"})).problem(
                404, "NOT_FOUND"
            )
