"""Pages of other origins: which of them a browser lets call the service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rules.ids import new_id
from rules.models import Policy
from tests.integration.web.api import SERVICE, Api, Reply, Setup, serving
from tests.integration.web.wire import wire
from tests.support.stores import memory_stores
from web.table import OPERATIONS

APP = "https://app.example"
LOCAL = "http://localhost:3000"
CLASSES = "/v1/classes"
SHOWN = "ETag, Location, X-Correlation-ID, Retry-After, Idempotent-Replayed, Dry-Run, Allow"
TAKEN = {
    *("X-User-ID", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
    *("If-None-Match", "X-Correlation-ID", "traceparent", "Last-Event-ID"),
}
PREFLIGHT = {"Access-Control-Request-Method": "POST"}


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Api]:
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, origins=frozenset({APP, LOCAL}))
        async with serving(setup, tmp_path) as api:
            yield api


def is_shared(reply: Reply, origin: str) -> bool:
    """Whether a browser would let a page of this origin have it."""
    assert "Origin" in reply.headers.get("Vary", "").split(", ")
    return reply.headers.get("Access-Control-Allow-Origin") == origin


@pytest.mark.parametrize("origin", [APP, LOCAL])
async def test_a_preflight_is_answered_before_anybody_is_known(shared: Api, origin: str) -> None:
    headers = {"Origin": origin, **PREFLIGHT, "Access-Control-Request-Headers": "x-user-id"}
    reply = await shared.send("OPTIONS", CLASSES, user=None, headers=headers)
    assert (reply.status, reply.body) == (204, b"")
    assert is_shared(reply, origin)
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST"
    assert {*reply.headers["Access-Control-Allow-Headers"].split(", ")} == TAKEN
    assert int(reply.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize("path", sorted({operation.path for operation in OPERATIONS}))
async def test_every_path_but_internal_ones_is_shared(shared: Api, path: str) -> None:
    names = ("class_id", "student_id", "batch_id", "essay_id", "import_id")
    url = path.format(**dict.fromkeys(names, str(new_id())))
    reply = await shared.send("OPTIONS", url, user=None, headers={"Origin": APP, **PREFLIGHT})
    assert reply.status == 204
    if path.startswith("/internal/"):
        assert not [name for name in reply.headers if name.startswith("Access-Control")]
    else:
        assert is_shared(reply, APP)
        assert reply.headers["Access-Control-Allow-Methods"] == reply.headers["Allow"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "*", "", "https://app.example.evil", "https://APP.example"],
)
async def test_other_origins_get_no_leave(shared: Api, origin: str) -> None:
    for method, user in (("OPTIONS", None), ("GET", "t")):
        headers = {"Origin": origin, **PREFLIGHT}
        reply = await shared.send(method, CLASSES, user=user, headers=headers)
        assert reply.status == (204 if method == "OPTIONS" else 200)
        assert "Origin" in reply.headers["Vary"].split(", ")
        assert not [name for name in reply.headers if name.startswith("Access-Control")]


async def test_two_origins_are_none(shared: Api) -> None:
    async with wire(shared.port) as connection:
        connection.get(CLASSES, f"Origin: {APP}", f"Origin: {APP}")
        assert "access-control-allow-origin" not in (await connection.answer()).headers


@pytest.mark.parametrize(
    ("method", "path", "user", "status"),
    [
        ("POST", CLASSES, "t", 201),
        ("GET", CLASSES, "t", 200),
        ("HEAD", CLASSES, "t", 200),
        ("GET", CLASSES, None, 401),
        ("GET", f"{CLASSES}/{new_id()}", "t", 404),
        ("GET", f"{CLASSES}?limit=x", "t", 400),
        ("GET", "/v1/nothing", "t", 404),
        ("OPTIONS", "/v1/nothing", None, 401),
        ("DELETE", CLASSES, "t", 405),
        ("PATCH", "/livez", None, 405),
        ("GET", "/livez", None, 200),
    ],
)
async def test_a_page_can_read_answers_and_errors(
    shared: Api, method: str, path: str, user: str | None, status: int
) -> None:
    body = {"name": "9A", "course_codes": ["SV1"]} if method == "POST" else None
    reply = await shared.send(method, path, body, user=user, headers={"Origin": APP})
    assert reply.status == status
    assert is_shared(reply, APP)
    assert reply.headers["Access-Control-Expose-Headers"] == SHOWN


async def test_what_is_internal_is_for_no_page(shared: Api) -> None:
    for path in ("/internal/v1/tables", "/internal/v1/nothing"):
        reply = await shared.send("GET", path, user=None, headers={**SERVICE, "Origin": APP})
        assert not [name for name in reply.headers if name.startswith("Access-Control")]


async def test_by_default_no_page_may(memory_api: Api) -> None:
    for method, user in (("OPTIONS", None), ("GET", "t"), ("GET", None)):
        headers = {"Origin": APP, **PREFLIGHT}
        reply = await memory_api.send(method, CLASSES, user=user, headers=headers)
        assert "Origin" not in reply.headers.get("Vary", "")
        assert not [name for name in reply.headers if name.startswith("Access-Control")]
