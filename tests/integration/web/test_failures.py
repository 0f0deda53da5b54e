"""What callers see when something behind the API fails or hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from structlog.testing import LogCapture

import web.deadline
import web.middleware
from telemetry.health import HealthReport
from telemetry.logs import add_correlation_id
from tests.integration.web import fakes
from tests.integration.web.api import SERVICE, Api, Reply, Setup, serving
from tests.integration.web.event_streams import STREAM
from tests.integration.web.fakes import (
    SECRET,
    Behaviour,
    FakeBackend,
    FakeHealth,
    Hang,
    Misbehaving,
    SlowClasses,
)
from tests.integration.web.requests import file_of, headers_of
from tests.support.conformance import operation_at
from web.inspection.operations import COMPARE
from web.operations import Tag
from web.table import OPERATIONS, ROUTED
from web.views.tables import TABLES

ID = "00000000-0000-7000-8000-000000000000"
OTHER_ID = "00000000-0000-7000-8000-000000000001"
BODIES: dict[str, object] = {
    "/v1/classes": {"name": "9A", "course_codes": ["SV1"]},
    "/v1/classes/students": {"person_name": {"first_name": "Åsa", "last_name": "Öberg"}},
    "/v1/classes/students/{student_id}/merge": {"into": OTHER_ID},
    "/v1/batches/{batch_id}/student-associations/{essay_id}": {"student_id": ID},
    "/v1/batches/{batch_id}/student-associations/confirm": {
        "associations": [{"essay_id": ID, "confirmed": True}]
    },
    f"{TABLES}{COMPARE.path}": {"repair": True},
    COMPARE.own_path: {"repair": True},
}
#: Without ids there is nothing to look up.
QUERIES = dict.fromkeys(
    ("/internal/v1/batches/class-info", "/internal/v1/batches/validation-status"),
    f"?batch_ids={ID}",
)
#: The process itself knows what these answer.
NOTHING_BEHIND = {"/metrics", "/v1/courses", STREAM}
#: Without those that have a deadline of their own.
HASTY = [replace(one, seconds=None) for one in ROUTED]
ROUTES = [
    (method, operation.path)
    for operation in OPERATIONS
    if operation.path not in NOTHING_BEHIND and operation.tag is not Tag.DOCUMENTS
    for method in (("GET", "HEAD") if operation.method == "GET" else (operation.method,))
]


def misbehaving(behaviour: Behaviour, timeout_seconds: float = 30) -> Setup:
    broken: Any = Misbehaving(behaviour)
    store = FakeBackend.all_of(broken)
    return Setup(store, timeout_seconds, health=broken, inspection=broken)


async def ask(api: Api, method: str, path: str) -> Reply:
    names = ("class_id", "student_id", "batch_id", "essay_id", "import_id")
    operation = operation_at("GET" if method == "HEAD" else method, path)
    assert operation is not None
    headers = {**(SERVICE if path.startswith("/internal/") else {}), **headers_of(operation)}
    body = BODIES.get(path, {}) if operation.body is not None else None
    url = path.format(**dict.fromkeys(names, ID)) + QUERIES.get(path, "")
    return await api.send(method, url, body, headers=headers, data=file_of(operation))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """Collect what the web's modules log, with what is bound to the context."""
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[add_correlation_id, capture])
    monkeypatch.setattr(web.middleware, "_log", logger)
    monkeypatch.setattr(web.middleware, "_access_log", logger)
    monkeypatch.setattr(web.deadline, "_log", logger)
    return capture


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_unreachable_database_is_503(tmp_path: Path, method: str, path: str) -> None:
    async with serving(misbehaving(fakes.unavailable), tmp_path) as api:
        reply = await ask(api, method, path)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert SECRET.encode() not in reply.body
    if method != "HEAD":
        reply.problem(503, "SERVICE_UNAVAILABLE")


@asynccontextmanager
async def hanging(tmp_path: Path) -> AsyncIterator[tuple[Api, Hang]]:
    hang = Hang()
    try:
        setup = misbehaving(hang, timeout_seconds=0.05)
        async with serving(setup, tmp_path, HASTY) as api:
            yield api, hang
    finally:
        hang.release()


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_database_call_that_hangs_is_503(tmp_path: Path, method: str, path: str) -> None:
    async with hanging(tmp_path) as (api, hang):
        reply = await ask(api, method, path)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        await asyncio.sleep(0)
        assert hang.cancellations == 1  # and it goes on hanging


async def test_hanging_call_that_fails_at_last_is_logged(tmp_path: Path, log: LogCapture) -> None:
    async with hanging(tmp_path) as (api, hang):
        reply = await ask(api, "GET", "/v1/classes")
        hang.release(RuntimeError(SECRET))
        await asyncio.sleep(0.01)
    late = next(line for line in log.entries if line["event"] == "late_request_failed")
    assert late["correlation_id"] == reply.headers["X-Correlation-ID"]


async def test_call_that_the_store_cancels_is_503(tmp_path: Path) -> None:
    async with serving(misbehaving(fakes.cancelled), tmp_path) as api:
        (await ask(api, "GET", "/v1/classes")).problem(503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize("behaviour", [fakes.unexpected, fakes.internal])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_unexpected_error_is_500_and_tells_nothing(
    tmp_path: Path, log: LogCapture, method: str, path: str, behaviour: Behaviour
) -> None:
    async with serving(misbehaving(behaviour), tmp_path) as api:
        reply = await ask(api, method, path)
    assert reply.status == 500
    assert SECRET.encode() not in reply.body
    if method != "HEAD":
        reply.problem(500, "INTERNAL_ERROR")
    failed = next(line for line in log.entries if line["event"] == "request_failed")
    assert failed["correlation_id"] == reply.headers["X-Correlation-ID"]
    assert failed["log_level"] == "error"


async def test_write_finishes_though_its_client_has_gone(tmp_path: Path) -> None:
    slow = SlowClasses()
    store = replace(FakeBackend.all_of(Misbehaving(fakes.unexpected)), classes=slow)
    async with serving(Setup(store), tmp_path) as api:
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        body = orjson.dumps(BODIES["/v1/classes"])
        head = ["POST /v1/classes HTTP/1.1", "Host: x", "X-User-ID: t"]
        head += [f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(head).encode() + body)
        await slow.begun.wait()
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)  # for the server to notice
        slow.go_on.set()
        await asyncio.wait_for(slow.finished.wait(), 60)


async def test_unhealthy_is_503_in_the_form_of_the_contract(tmp_path: Path) -> None:
    down = {"database": "unreachable", "kafka": "ok", "redis": "ok", "stream": "ok"}
    setup = misbehaving(fakes.unexpected)
    report = HealthReport(ok=False, checks={"event_loop": "ok"}, dependencies=down)
    ill = Setup(setup.store, health=FakeHealth(report))
    async with serving(ill, tmp_path) as api:
        for path in ("/healthz", "/livez", "/readyz"):
            reply = await api.get(path, user=None)
            assert reply.status == 503
            assert reply.json["status"] == "unhealthy"
            assert reply.json["dependencies"] == down


async def test_what_waits_for_a_person_is_told_and_the_service_is_well(tmp_path: Path) -> None:
    notice = "messages set aside"
    waiting = FakeHealth(fakes.GOOD.with_notice("outbox", notice))
    async with serving(Setup(misbehaving(fakes.unexpected).store, health=waiting), tmp_path) as api:
        reply = await api.get("/healthz", user=None)
    assert (reply.status, reply.json["status"]) == (200, "degraded")
    assert reply.json["checks"] == {"event_loop": "ok", "outbox": notice}


async def test_each_request_is_one_line_without_ids(api: Api, log: LogCapture) -> None:
    class_id = await api.new_class("Hemlig")
    await api.get(f"/v1/classes/{class_id}/", user="hemlig lärare")
    await api.get("/v1/secret-path")
    await api.get("/healthz")
    lines = [line for line in log.entries if line["event"] == "request"]
    seen = [(one["method"], one["route"], one["status"], one["log_level"]) for one in lines]
    assert seen == [
        ("POST", "/v1/classes", 201, "info"),
        ("GET", "/v1/classes/{class_id}", 404, "info"),
        ("GET", "unmatched", 404, "info"),
        ("GET", "/healthz", 200, "debug"),
    ]
    assert all(line["ms"] >= 0 and line["correlation_id"] for line in lines)
    text = str(log.entries).lower()
    assert all(word not in text for word in ("hemlig", "secret", class_id))
