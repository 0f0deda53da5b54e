"""Who is calling (docs/contract.md, section 2)."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from rules.ids import new_id
from rules.models import Caller, Trace
from tests.integration.web.api import INTERNAL_KEY, SERVICE, TEACHER, Api, Setup, serving
from tests.integration.web.fakes import FakeBackend, SlowClasses
from web.identity import Access
from web.table import OPERATIONS

CLASSES = "/v1/classes"
PUBLIC = sorted({o.path for o in OPERATIONS if o.access in {Access.USER, Access.USER_OR_SERVICE}})
INTERNAL = sorted({o.path for o in OPERATIONS if o.access in {Access.SERVICE, Access.WORKER}})
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")


def filled(path: str) -> str:
    names = ("class_id", "student_id", "batch_id", "essay_id", "import_id")
    return path.format(**{name: new_id() for name in names})


def test_access_follows_the_path() -> None:
    for path in (operation.path for operation in OPERATIONS):
        in_public, in_internal = path.startswith("/v1/"), path.startswith("/internal/v1/")
        assert (path in PUBLIC, path in INTERNAL) == (in_public, in_internal)


@pytest.mark.parametrize("template", [*PUBLIC, *INTERNAL])
async def test_every_path_wants_to_know_who_is_calling(api: Api, template: str) -> None:
    for method in METHODS:
        for path in (filled(template), f"{filled(template)}/"):
            reply = await api.send(method, path, {}, user=None)
            assert reply.status == 401, (method, path)
            assert "WWW-Authenticate" in reply.headers


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/internal/v1", "/internal/v1/x/y"])
async def test_strangers_do_not_learn_what_is_not_there(api: Api, path: str) -> None:
    (await api.get(path, user=None)).problem(401, "AUTHENTICATION_REQUIRED")


async def test_internal_area_takes_no_user_and_public_area_no_service(api: Api) -> None:
    for path in INTERNAL:
        (await api.get(filled(path))).problem(401, "AUTHENTICATION_REQUIRED")
    (await api.internal(CLASSES)).problem(401, "AUTHENTICATION_REQUIRED")
    (await api.internal("/internal/v1/nothing")).problem(404, "NOT_FOUND")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "   ",
        "%20%09",
        "%E2%80%83",  # a blank that is not ASCII's
        "a%00b",
        "a%0Ab",
        "a%C2%85b",
        "%FF",
        "%C3",
        "%ED%A0%80",  # a lone surrogate
        "%C0%AF",  # an overlong slash
        "%",
        "%zz",
        "a%2",
        "x" * 256,
        "%C3%A5" * 256,
        "%20" * 2000,
        "SYSTEM_TIMEOUT",
        "SYSTEM_AUTO",
        "%53YSTEM_TIMEOUT",
        "system_auto",
        "%20SYSTEM_AUTO%C2%A0",
    ],
)
async def test_unusable_user_id_is_no_identity(api: Api, header: str) -> None:
    reply = await api.send("GET", CLASSES, user=None, headers={"X-User-ID": header})
    reply.problem(401, "AUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("header", ["x" * 255, "%C3%A5" * 255, "a%20b", "%25", "a+b@skola.se"])
async def test_usable_user_id_is_one(api: Api, header: str) -> None:
    reply = await api.send("GET", CLASSES, user=None, headers={"X-User-ID": header})
    assert reply.status == 200


async def test_user_id_is_the_same_however_it_is_encoded(api: Api) -> None:
    class_id = await api.new_class(user="معلم ä+")
    for header in ("%D9%85%D8%B9%D9%84%D9%85%20%C3%A4+", "معلم%20%c3%a4%2b"):
        reply = await api.send(
            "GET", f"{CLASSES}/{class_id}", user=None, headers={"X-User-ID": header}
        )
        assert reply.status == 200, header


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Internal-API-Key": INTERNAL_KEY},
        {"X-Internal-API-Key": INTERNAL_KEY, "X-Service-ID": "  "},
        {"X-Service-ID": "essays"},
        {"X-Internal-API-Key": "", "X-Service-ID": "essays"},
        {"X-Internal-API-Key": INTERNAL_KEY[:-1], "X-Service-ID": "essays"},
        {"X-Internal-API-Key": f"{INTERNAL_KEY}x", "X-Service-ID": "essays"},
        {"X-Internal-API-Key": INTERNAL_KEY.upper(), "X-Service-ID": "essays"},
    ],
)
async def test_internal_path_needs_key_and_service(api: Api, headers: dict[str, str]) -> None:
    reply = await api.send("GET", "/internal/v1/tables", user=TEACHER, headers=headers)
    reply.problem(401, "AUTHENTICATION_REQUIRED")


async def test_without_a_key_no_service_gets_in(
    api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    setup = Setup(api.setup.store, keys=())
    async with serving(setup, tmp_path_factory.mktemp("faust")) as closed:
        for key in ("", "None", INTERNAL_KEY):
            headers = {**SERVICE, "X-Internal-API-Key": key}
            reply = await closed.send("GET", "/internal/v1/tables", user=None, headers=headers)
            reply.problem(401, "AUTHENTICATION_REQUIRED")


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "X-User-ID is missing."),
        ({"X-User-ID": "  "}, "X-User-ID is missing."),
        ({"X-User-ID": "hemligt%"}, "X-User-ID names no user."),
        ({"X-User-ID": "SYSTEM_AUTO"}, "X-User-ID names no user."),
    ],
)
async def test_who_is_not_known_learns_which_header_is_at_fault(
    api: Api, headers: dict[str, str], detail: str
) -> None:
    reply = await api.send("GET", CLASSES, user=None, headers=headers)
    assert reply.problem(401, "AUTHENTICATION_REQUIRED")["detail"] == detail


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"X-Internal-API-Key": ""}, "X-Internal-API-Key is missing."),
        ({"X-Internal-API-Key": "hemligt"}, "X-Internal-API-Key is not a key of this service."),
        ({"X-Service-ID": " "}, "X-Service-ID is missing."),
        ({"X-Service-ID": "x" * 256}, "X-Service-ID has more than 255 characters."),
    ],
)
async def test_a_service_learns_which_header_is_at_fault(
    api: Api, headers: dict[str, str], detail: str
) -> None:
    path = "/internal/v1/batches/class-info"
    reply = await api.send("GET", path, user=None, headers={**SERVICE, **headers})
    assert reply.problem(401, "AUTHENTICATION_REQUIRED")["detail"] == detail


async def test_two_user_ids_are_none(api: Api) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"GET /v1/classes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-User-ID: a\r\nX-User-ID: b\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    assert b'"detail":"X-User-ID came more than once."' in await reader.read()
    writer.close()


async def test_correlation_id_is_taken_over(api: Api) -> None:
    given = str(new_id())
    for path in (CLASSES, f"{CLASSES}/x", "/nothing", "/healthz"):
        reply = await api.send("GET", path, headers={"X-Correlation-ID": given.upper()})
        assert reply.headers["X-Correlation-ID"] == given


@pytest.mark.parametrize("given", ["", "1", "{00000000-0000-7000-8000-000000000000}", "å"])
async def test_malformed_correlation_id_is_replaced(api: Api, given: str) -> None:
    replies = [
        await api.send("GET", CLASSES, headers={"X-Correlation-ID": given}) for _ in range(2)
    ]
    first, second = (UUID(reply.headers["X-Correlation-ID"]) for reply in replies)
    assert first != second


@pytest.mark.parametrize(
    ("traceparent", "taken"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\t", True),  # HTTP strips it
        ("", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", False),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
    ],
)
async def test_trace_reaches_the_store(tmp_path: Path, traceparent: str, *, taken: bool) -> None:
    classes = SlowClasses()
    classes.go_on.set()
    correlation_id = new_id()
    headers = {"X-Correlation-ID": str(correlation_id), "traceparent": traceparent}
    setup = Setup(replace(FakeBackend.all_of(None), classes=classes))
    async with serving(setup, tmp_path / "faust") as recording:
        body = {"name": "9A", "course_codes": ["SV1"]}
        await recording.send("POST", CLASSES, body, headers=headers)
    [request] = classes.requests
    expected = Trace(correlation_id, traceparent.strip() if taken else None)
    assert request.caller == Caller(TEACHER, expected)


@pytest.mark.parametrize("name", ["", " ", "x" * 256])
async def test_a_service_has_a_name_of_some_length(api: Api, name: str) -> None:
    headers = {**SERVICE, "X-Service-ID": name}
    path = "/internal/v1/batches/class-info"
    reply = await api.send("GET", path, user=None, headers=headers)
    reply.problem(401, "AUTHENTICATION_REQUIRED")
