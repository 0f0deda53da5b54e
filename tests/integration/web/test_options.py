"""HEAD and OPTIONS, on every path of the table."""

from collections import defaultdict

import pytest

from rules.ids import new_id
from tests.integration.web.api import SERVICE, Api
from tests.integration.web.event_streams import STREAM
from tests.integration.web.wire import wire
from web.table import OPERATIONS

METHODS: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
for operation in OPERATIONS:
    METHODS[operation.path] |= {operation.method}
    if operation.method == "GET":
        METHODS[operation.path] |= {"HEAD"}
#: What can be read to its end: a stream and its head are in test_streams.py.
READABLE = sorted({one.path for one in OPERATIONS if one.method == "GET"} - {STREAM})

#: Another one for each answer.
FRESH = ("Date", "Content-Security-Policy")


def filled(path: str) -> str:
    names = ("class_id", "student_id", "batch_id", "essay_id", "import_id")
    return path.format(**{name: new_id() for name in names})


@pytest.mark.parametrize("template", METHODS)
async def test_anybody_may_ask_what_a_path_takes(memory_api: Api, template: str) -> None:
    expected = ", ".join(sorted(METHODS[template]))
    for path in (filled(template), f"{filled(template)}/"):
        reply = await memory_api.send("OPTIONS", path, user=None)
        assert (reply.status, reply.headers["Allow"], reply.body) == (204, expected, b"")
        assert "X-Correlation-ID" in reply.headers
        assert "Content-Type" not in reply.headers


@pytest.mark.parametrize("template", METHODS)
async def test_what_a_path_does_not_take_names_the_same(memory_api: Api, template: str) -> None:
    headers = SERVICE if template.startswith("/internal/") else None
    allowed = METHODS[template]
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "PURGE"} - allowed:
        reply = await memory_api.send(method, filled(template), headers=headers)
        reply.problem(405, "METHOD_NOT_ALLOWED")
        assert reply.headers["Allow"] == ", ".join(sorted(allowed))


async def test_a_path_that_is_not_there_takes_nothing(memory_api: Api) -> None:
    for path in ("/v1/nothing", "/v1/classes/x/y/z", "/table"):
        reply = await memory_api.send("OPTIONS", path)
        reply.problem(404, "NOT_FOUND")
        assert "Allow" not in reply.headers
    stranger = await memory_api.send("OPTIONS", "/v1/nothing", user=None)
    stranger.problem(401, "AUTHENTICATION_REQUIRED")


async def test_what_is_sent_along_does_no_harm(memory_api: Api) -> None:
    async with wire(memory_api.port) as connection:
        connection.send(
            "OPTIONS /v1/classes HTTP/1.1", "Host: x", "Content-Length: 5", body=b"hello"
        )
        assert (await connection.answer()).status == 204
        connection.get("/v1/classes")
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("template", READABLE)
async def test_head_is_get_without_its_body(memory_api: Api, template: str) -> None:
    """Also where there is nothing, and where nobody is known."""
    headers = SERVICE if template.startswith("/internal/") else {}
    same = {**headers, "X-Correlation-ID": str(new_id())}
    path = filled(template)
    for user in ("t", None):
        got = await memory_api.send("GET", path, user=user, headers=same)
        head = await memory_api.send("HEAD", path, user=user, headers=same)
        assert head.body == b""
        assert head.status == got.status
        if template == "/metrics":  # no two are alike
            continue
        fresh = dict.fromkeys(FRESH, "")
        assert {**head.headers} | fresh == {**got.headers} | fresh
        assert head.headers["Content-Length"] == str(len(got.body))


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_where_nothing_is_no_method_is_named(api: Api, method: str) -> None:
    reply = await api.send(method, "/", user=None)
    reply.problem(404, "NOT_FOUND")
    assert "Allow" not in reply.headers
