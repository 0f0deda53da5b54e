"""That a form came from a page of this service, for whom sends it; and what pages tell browsers."""

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from rules.models import Policy
from tests.integration.web.api import (
    INTERNAL_KEY,
    OTHER,
    TEACHER,
    Api,
    Reply,
    Setup,
    desk_of,
    serving,
)
from tests.integration.web.console.people import (
    FORM,
    FORMS,
    FRAGMENT,
    PAGES,
    SERVED,
    Signer,
    as_operator,
    cookies_of,
    path_of,
    send_file,
    send_form,
    signed_in,
    token_on,
    who_on,
)
from tests.support.stores import memory_stores
from web.console import tokens
from web.console.paths import own_path
from web.console.sessions import OPERATOR_COOKIE, TEACHER_COOKIE, SignIn, new_operator
from web.console.views import sign_in
from web.identity import Access
from web.operations import Operation

DAY: Final = 86_400
PROTECTED: Final = [one for one in FORMS if one.access is not Access.ANYBODY]
ORIGIN: Final = "https://evil.example"
ELSEWHERE: Final[Mapping[str, Mapping[str, str]]] = {
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "cross-site with our origin": {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    "another origin": {"Origin": ORIGIN},
    "no origin": {"Origin": "null"},
    "an origin that begins as ours": {"Origin": "http://{host}.evil.example"},
    "another port": {"Origin": "http://{host}0"},
}
OURS: Final[Mapping[str, Mapping[str, str]]] = {
    "by what browsers say": {
        "Sec-Fetch-Site": "same-origin",
        "Origin": "http://127.0.0.1:{port}",
    },
    "by its origin": {"Origin": "http://127.0.0.1:{port}"},
    "by a gateway": {"Origin": "https://skola.example", "X-Forwarded-Host": "skola.example"},
}
#: Bodies that are no form: their media type, and the status of the answer.
NO_FORMS: Final = (
    ("application/json", b"{}", 415),
    ("text/plain", b"form_token=x", 415),
    ("application/x-www-form-urlencoded", b"\xff", 400),
    ("application/x-www-form-urlencoded", b"form_token=%FF", 400),
    ("application/x-www-form-urlencoded", b"a=&" * 13_000, 400),
    ("application/x-www-form-urlencoded", b"a" * (1024**2 + 1), 413),
)
POLICY: Final = {
    *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
    *("img-src 'self' data:", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_WRONG_SECONDS", 0)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, desk=desk_of(stores))
        async with serving(setup, tmp_path, SERVED) as running:
            yield running


@pytest.fixture
async def development(tmp_path: Path) -> AsyncIterator[Api]:
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, sign_in=SignIn.DEVELOPMENT)
        async with serving(setup, tmp_path, SERVED) as running:
            yield running


class Person:
    """Who sends forms: a teacher by the gateway, or an operator by its cookie."""

    def __init__(self, api: Api, secret: bytes, access: Access) -> None:
        self.operator = new_operator("Eva")
        self.signer = Signer(secret)
        self.is_operator = access is Access.OPERATOR
        self.headers = as_operator(self.signer.operator(self.operator)) if self.is_operator else {}
        self.user = None if self.is_operator else TEACHER
        self._api = api

    async def token(self) -> str:
        person = self.operator if self.is_operator else TEACHER
        return await self.signer.sessions.form_token(person)

    async def send(
        self, operation: Operation, fields: Mapping[str, Any], headers: Mapping[str, str] = {}
    ) -> Reply:
        return await send_form(
            self._api,
            path_of(operation),
            fields,
            user=self.user,
            headers={**self.headers, **headers},
        )


async def person(api: Api, operation: Operation) -> Person:
    secret = await api.setup.store.classes.cursor_key()
    return Person(api, secret, operation.access)


def is_foreign(reply: Reply) -> bool:
    """Whether a form was refused for where it came from; a page says it."""
    if reply.status != 403:
        return False
    assert "the form is older than a day" in reply.body.decode()
    return True


@pytest.mark.parametrize("operation", PROTECTED, ids=lambda one: one.name)
async def test_a_form_without_the_token_of_its_person_does_nothing(
    api: Api, operation: Operation
) -> None:
    sender = await person(api, operation)
    sessions = sender.signer.sessions
    good = await sender.token()
    day, _, mac = good.partition(".")
    for token in (
        "",
        await sessions.form_token(OTHER),
        await sessions.form_token(new_operator("Eva")),
        await sessions.form_token("operator x"),
        await Signer(b"another secret", "another key").sessions.form_token(
            sender.operator if sender.is_operator else TEACHER
        ),
        f"{day}.{'A' * len(mac)}",
        f"{int(day) + 1}.{mac}",
        f"{day}.",
        day,
        mac,
        f"-{day}.{mac}",
        "٣.x",
        f"{'9' * 5000}.{mac}",
        "\U0001f600",
    ):
        assert is_foreign(await sender.send(operation, {"form_token": token})), token
    assert is_foreign(await sender.send(operation, {}))
    assert (await sender.send(operation, {"form_token": [good, good]})).status == 400
    assert not is_foreign(await sender.send(operation, {"form_token": good}))


@pytest.mark.parametrize("operation", PROTECTED, ids=lambda one: one.name)
async def test_a_form_is_good_today_and_tomorrow(
    api: Api, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = await person(api, operation)
    today = int(time.time()) // DAY
    monkeypatch.setattr(tokens, "_today", lambda: today)  # also where midnight comes meanwhile
    for days, is_good in ((0, True), (1, True), (2, False), (-1, False)):
        with monkeypatch.context() as at_that_time:
            at_that_time.setattr(tokens, "_today", lambda day=today - days: day)
            token = await sender.token()
        reply = await sender.send(operation, {"form_token": token})
        assert is_foreign(reply) is not is_good, days


# One server for all that a form is sent: a start of it costs more than what is sent.
@pytest.mark.parametrize("operation", FORMS, ids=lambda one: one.name)
async def test_a_form_of_another_site_does_nothing(api: Api, operation: Operation) -> None:
    sender = await person(api, operation)
    host = f"127.0.0.1:{api.port}"
    for name, elsewhere in ELSEWHERE.items():
        headers = {key: value.format(host=host) for key, value in elsewhere.items()}
        reply = await sender.send(operation, {"form_token": await sender.token()}, headers)
        assert is_foreign(reply), name
        assert "Set-Cookie" not in reply.headers, name


@pytest.mark.parametrize("operation", FORMS, ids=lambda one: one.name)
async def test_a_form_of_our_own_is_taken(api: Api, operation: Operation) -> None:
    sender = await person(api, operation)
    for name, ours in OURS.items():
        sent = {key: value.format(port=api.port) for key, value in ours.items()}
        reply = await sender.send(operation, {"form_token": await sender.token()}, sent)
        assert not is_foreign(reply), name


@pytest.mark.parametrize("operation", PROTECTED, ids=lambda one: one.name)
async def test_what_is_no_form_is_refused_on_a_page(api: Api, operation: Operation) -> None:
    sender = await person(api, operation)
    for kind, body, status in NO_FORMS:
        reply = await api.send(
            "POST",
            path_of(operation),
            user=sender.user,
            data=io.BytesIO(body),
            headers={**sender.headers, "Content-Type": kind},
        )
        assert reply.status == status, (kind, body[:20])
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("operation", PROTECTED, ids=lambda one: one.name)
async def test_forms_with_files_are_taken_where_one_is_wanted(
    api: Api, operation: Operation
) -> None:
    sender = await person(api, operation)
    headers = {**sender.headers, "Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"--x--", b"", b"\r\n" * 1000, b"--x\r\n\r\n\r\n--x--"):
        path = path_of(operation)
        reply = await api.send(
            "POST", path, user=sender.user, data=io.BytesIO(body), headers=headers
        )
        if not operation.uploads:
            assert reply.status == 415, body
        elif body == b"--x--":
            assert is_foreign(reply)
        else:
            assert reply.status == 400, body


@pytest.mark.parametrize(
    "operation", [one for one in FORMS if one.uploads], ids=lambda one: one.name
)
async def test_a_form_with_a_file_and_without_the_token_does_nothing(
    api: Api, operation: Operation
) -> None:
    sender = await person(api, operation)
    other = await sender.signer.sessions.form_token(OTHER)
    for fields in ({}, {"form_token": ""}, {"form_token": other}):
        sent = {**fields, "file": "Förnamn,Efternamn,Klass\nCher,,9C\n", "course": "SV1"}
        assert is_foreign(await send_file(api, path_of(operation), sent, user=TEACHER))
    assert (await api.get("/v1/imports")).json["imports"] == []


async def test_a_token_is_another_text_on_each_page(api: Api) -> None:
    first, second = [token_on(await api.get("/console/probe")) for _ in range(2)]
    assert first != second


def check_headers(reply: Reply) -> None:
    """Check what a browser must know of a page: nothing frames it, nothing inline, no copies."""
    headers = reply.headers
    assert set(headers["Content-Security-Policy"].split("; ")) == POLICY
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert {"Cookie", "Accept-Language"} <= set(headers["Vary"].split(", "))


@pytest.mark.parametrize(
    "operation", [one for one in PAGES if "probe" not in one.path], ids=lambda one: one.name
)
async def test_every_page_and_every_error_says_what_may_be_done_with_it(
    api: Api, operation: Operation
) -> None:
    sender = await person(api, operation)
    for headers, user in ((sender.headers, sender.user), ({}, None)):
        reply = await api.send(
            operation.method,
            path_of(operation),
            user=user,
            headers={**headers, **(FORM if operation.method == "POST" else {})},
        )
        if reply.status != 303:
            check_headers(reply)


@pytest.mark.parametrize("path", ["/console/none", "/console/", "/console/static/none.js"])
async def test_an_address_that_is_not_there_is_a_page(api: Api, path: str) -> None:
    reply = await api.get(path, user=None)
    assert reply.status in {404, 401}
    check_headers(reply)


async def test_a_method_that_is_not_there_is_a_page(api: Api) -> None:
    reply = await api.send("PUT", "/console/sign-in", user=None)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    check_headers(reply)


@pytest.mark.parametrize("operation", PAGES, ids=lambda one: one.name)
async def test_no_page_of_another_origin_reads_one(tmp_path: Path, operation: Operation) -> None:
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, origins=frozenset({ORIGIN}))
        async with serving(setup, tmp_path, SERVED) as api:
            for method in (operation.method, "OPTIONS"):
                reply = await api.send(
                    method, path_of(operation), headers={"Origin": ORIGIN, **FORM}
                )
                assert not [name for name in reply.headers if name.startswith("Access-Control")]


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize("proto", [None, "http", "https", "HTTPS"])
async def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(
    development: Api, proto: str | None
) -> None:
    headers = {} if proto is None else {"X-Forwarded-Proto": proto}
    expected = {"HttpOnly", "Path=/console", "SameSite=Strict"}
    if proto in {"https", "HTTPS"}:
        expected |= {"Secure"}
    for path, fields, name in (
        ("/console/sign-in", {"user_id": "a"}, TEACHER_COOKIE),
        ("/console/sign-in/operator", {"name": "Eva", "key": INTERNAL_KEY}, OPERATOR_COOKIE),
        ("/console/language", {"language": "sv"}, "console_language"),
    ):
        reply = await send_form(development, path, fields, headers=headers)
        flags = cookies_of(reply)[name].split("; ")[1:]
        assert {one for one in flags if not one.startswith("Max-Age")} == expected


async def test_signing_in_begins_something_new(api: Api) -> None:
    """Who has had somebody's browser take a cookie before knows nothing afterwards."""
    first = await signed_in(api)
    reply = await send_form(
        api, "/console/sign-in/operator", {"name": "Eva", "key": INTERNAL_KEY}, headers=first
    )
    second = cookies_of(reply)[OPERATOR_COOKIE].partition(";")[0]
    assert second != first["Cookie"].partition("=")[2]
    token = token_on(await api.get("/console/operations/probe", None, first))
    for cookie, status in ((first, 200), (as_operator(second), 403)):
        sent = await send_form(
            api, "/console/operations/probe", {"form_token": token}, headers=cookie
        )
        assert sent.status == status


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"),
        *("/consoleevil", "console", "/v1/classes", "/console\r\nSet-Cookie: a=b", "\t//evil"),
        *("/console/\r\nX: y", "/console/å", ""),
    ],
)
async def test_signing_in_leads_to_a_page_of_ours(development: Api, target: str) -> None:
    for path, fields, otherwise in (
        ("/console/sign-in", {"user_id": "a"}, {"/console"}),
        (
            "/console/sign-in/operator",
            {"name": "Eva", "key": INTERNAL_KEY},
            {"/console", "/console/operations"},
        ),
        ("/console/language", {"language": "sv"}, {"/console"}),
    ):
        reply = await send_form(development, path, {**fields, "next": target})
        assert (reply.status, reply.headers["Location"] in otherwise) == (303, True)
        assert "X" not in reply.headers


@pytest.mark.parametrize(
    "path", ["/console", "/console/students?q=%C3%85&x=1", "/console/batches/a#b", "/console?x"]
)
def test_our_own_pages_are_led_to(path: str) -> None:
    assert own_path(path) == path


async def test_the_language_is_switched_on_the_page_that_is_shown(api: Api) -> None:
    reply = await api.get("/console/none?q=%C3%85sa%20%26%22")
    [target] = re.findall(r'name="next" value="([^"]*)"', reply.body.decode())
    assert own_path(target) == "/console/none?q=%C3%85sa%20%26%22"


async def test_who_is_not_signed_in_comes_back_to_the_page(development: Api) -> None:
    for path, sign_in_path in (
        ("/console?a=%C3%85&b=c", "/console/sign-in"),
        ("/console/operations/probe?a=b", "/console/sign-in/operator"),
    ):
        reply = await development.get(path, user=None)
        assert reply.status == 303
        location = reply.headers["Location"]
        assert location.startswith(f"{sign_in_path}?next=%2Fconsole")
        shown = (await development.get(location, user=None)).body.decode()
        [target] = re.findall(r'name="next" value="([^"]*)">\n<label', shown)
        assert target.replace("&amp;", "&") == path


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_piece_for_who_is_signed_out_leads_the_whole_page_away(
    development: Api, method: str
) -> None:
    shown = {"HX-Current-URL": "http://host:1/console/operations?a=b#c", **FRAGMENT, **FORM}
    for path, sign_in_path in (
        ("/console/operations/probe", "/console/sign-in/operator"),
        ("/console/probe", "/console/sign-in"),
    ):
        reply = await development.send(method, path, user=None, headers=shown)
        assert (reply.status, reply.body) == (401, b"")
        target = "next=%2Fconsole%2Foperations%3Fa%3Db"
        assert reply.headers["HX-Redirect"] == f"{sign_in_path}?{target}"
    foreign = {**shown, "HX-Current-URL": "https://evil.example/x"}
    reply = await development.send(method, "/console/probe", user=None, headers=foreign)
    assert reply.headers["HX-Redirect"] == "/console/sign-in?next=%2Fconsole"


@pytest.mark.parametrize(("method", "loads"), [("GET", True), ("POST", False)])
async def test_where_the_platform_signs_in_a_page_is_loaded_again_unless_it_would_lose_something(
    api: Api, method: str, *, loads: bool
) -> None:
    reply = await api.send(method, "/console/probe", user=None, headers={**FRAGMENT, **FORM})
    assert reply.status == 401
    assert ("HX-Refresh" in reply.headers, "HX-Redirect" in reply.headers) == (loads, False)


async def test_where_the_platform_signs_in_the_page_for_it_says_so(api: Api) -> None:
    reply = await api.get("/console/sign-in", user=None)
    assert (reply.status, b"user_id" in reply.body) == (200, False)
    assert (await send_form(api, "/console/sign-in", {"user_id": "a"})).status == 404


@pytest.mark.parametrize("user_id", ["", "  ", "SYSTEM_TIMEOUT", "x" * 256, "a\0b", "a\nb"])
async def test_who_nobody_can_be_is_not_signed_in(development: Api, user_id: str) -> None:
    reply = await send_form(development, "/console/sign-in", {"user_id": user_id})
    assert (reply.status, "Set-Cookie" in reply.headers) == (400, False)
    check_headers(reply)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><b>', "Åsa \U0001f600", "مها", "a; Path=/", "x" * 100]
)
async def test_names_are_shown_as_they_are(api: Api, name: str) -> None:
    cookie = await signed_in(api, name)
    reply = await api.get("/console/operations/probe", None, cookie)
    assert who_on(reply) == name
    shown = reply.body.decode()
    assert "<script>alert" not in shown
    assert '"><b>' not in shown


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\r\nSet-Cookie: x=y", "\u202e", "\0"])
async def test_who_acts_has_a_name(api: Api, name: str) -> None:
    reply = await send_form(api, "/console/sign-in/operator", {"name": name, "key": INTERNAL_KEY})
    assert (reply.status, "Set-Cookie" in reply.headers) == (401, False)
    assert b"aria-invalid" in reply.body


async def test_who_guesses_waits_and_nobody_else(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_WRONG_SECONDS", 1e6)
    fields = {"name": "Eva", "key": INTERNAL_KEY}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await send_form(api, "/console/sign-in/operator", {**fields, "key": "guess"})
    assert (await send_form(api, "/console/sign-in/operator", fields)).status == 303


async def test_the_log_has_who_signs_in_and_no_key(api: Api) -> None:
    with capture_logs() as lines:
        for key in (INTERNAL_KEY, "guessed-secret"):
            reply = await send_form(api, "/console/sign-in/operator", {"name": "Eva", "key": key})
            value = cookies_of(reply).get(OPERATOR_COOKIE, "no cookie").partition(";")[0]
            assert value not in repr(lines)
    told = [one["event"] for one in lines]
    assert {"operator signed in", "operator refused"} <= set(told)
    assert not [one for one in lines if "guessed" in repr(one) or "schl" in repr(one)]


async def test_where_there_is_no_key_nobody_gets_in(tmp_path: Path) -> None:
    async with (
        memory_stores(Policy()) as stores,
        serving(Setup(stores, keys=()), tmp_path, SERVED) as api,
    ):
        reply = await api.get("/console/sign-in/operator", user=None)
        assert b"CLASS_MANAGEMENT_SERVICE_INTERNAL_API_KEY" in reply.body
        for key in ("", "x"):
            fields = {"name": "Eva", "key": key}
            sent = await send_form(api, "/console/sign-in/operator", fields)
            assert (sent.status, "Set-Cookie" in sent.headers) == (401, False)


async def test_who_signs_out_is_out(api: Api, development: Api) -> None:
    cookie = await signed_in(api)
    reply = await send_form(api, "/console/sign-out", {}, headers=cookie)
    assert reply.headers["Location"].startswith("/console/sign-in/operator?")
    assert cookies_of(reply)[OPERATOR_COOKIE].startswith('"";')
    reply = await send_form(development, "/console/sign-out", {})
    assert reply.headers["Location"].startswith("/console/sign-in?")


async def test_who_asks_for_pages_stays_signed_in_but_not_for_good(api: Api) -> None:
    signer = Signer(b"")
    now = time.time()
    for until, last, is_renewed in (
        (now + 3000, now + 9000, False),
        (now + 60, now + 9000, True),
        (now + 60, now + 60, False),
    ):
        cookie = as_operator(signer.operator_until(until, last))
        reply = await api.get("/console/operations/probe", None, cookie)
        assert (OPERATOR_COOKIE in cookies_of(reply)) is is_renewed


# --- the bare address ---------------------------------------------------------------------------


async def test_a_browser_is_led_from_the_bare_address_and_a_program_is_not(api: Api) -> None:
    reply = await api.get("/", None, {"Accept": "text/html,*/*;q=0.8"})
    assert (reply.status, reply.headers["Location"]) == (303, "/console")
    for accept in ("*/*", "application/json"):
        (await api.get("/", None, {"Accept": accept})).problem(404, "NOT_FOUND")
