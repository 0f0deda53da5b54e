"""What a worker tells another one about itself, and what somebody else could make of it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from rules.ids import new_id
from rules.models import Policy
from tests.integration.web.api import SERVICE, Api, Reply, Setup, serving
from tests.integration.web.fakes import FakeTables, entry
from tests.integration.web.test_inspection import (
    PENDING,
    TABLES,
    WORKER,
    answering,
    known,
    record,
    two_workers,
    worker,
)
from tests.integration.web.wire import wire
from tests.support.stores import memory_stores
from web.signatures import HEADER, TOLERANCE_SECONDS

DRIFT: Final = "/pending-associations/drift"


@dataclass(frozen=True)
class Heard:
    """A request as it reached an address that the list of workers named."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def signed(self) -> dict[str, str]:
        return {HEADER: self.headers[HEADER], "X-Service-ID": self.headers["X-Service-ID"]}


@asynccontextmanager
async def eavesdropping(heard: list[Heard]) -> AsyncIterator[int]:
    """Listen at an address, answer nothing useful, and set cookies."""

    async def listen(request: web.Request) -> web.Response:
        heard.append(Heard(request.method, request.raw_path, dict(request.headers)))
        return web.Response(status=500, headers={"Set-Cookie": "spy=1"})

    async with answering(listen) as port:
        yield port


@pytest.fixture
async def a(tmp_path: Path) -> AsyncIterator[Api]:
    """Give a worker that knows who it is."""
    async with worker(tmp_path, "a:1", [entry(1)]) as api:
        known(api)
        yield api


async def overheard(asking: Api, names: str) -> Heard:
    """Have a row that leads elsewhere in the list of workers; return what is learned there."""
    heard: list[Heard] = []
    async with eavesdropping(heard) as port:
        asking.setup.peers.records = [record(names, port)]
        await asking.internal(f"{TABLES}/pending-associations?limit=7")
        await asking.internal(TABLES)
    assert len(heard) == 2
    assert "Cookie" not in heard[1].headers
    return heard[0]


async def repeated(at: Api, heard: Heard, **changes: Any) -> int:  # noqa: ANN401  # its members
    """Send what was heard to a worker; return the status."""
    again = replace(heard, **changes)
    reply = await at.send(again.method, again.path, user=None, headers=again.signed)
    return reply.status


async def test_the_key_is_sent_to_nobody(a: Api) -> None:
    heard = await overheard(a, "b:1")
    assert "X-Internal-API-Key" not in heard.headers
    sent = f"{heard.path} {heard.headers}"
    assert SERVICE["X-Internal-API-Key"] not in sent
    assert heard.headers["X-Service-ID"] == "class_management_service"


@pytest.mark.parametrize("names", ["evil:1", "a:1", "b:1"])
async def test_what_another_address_hears_opens_no_worker(
    a: Api, tmp_path: Path, names: str
) -> None:
    """Also where the row names a real worker: it has another address, or started later."""
    async with worker(tmp_path, "b:1", [entry(2)]) as b:
        known(b)
        heard = await overheard(b if names == "a:1" else a, names)
        for api in (a, b):
            assert await repeated(api, heard) == 401


async def signed_for(a: Api, tmp_path: Path) -> Heard:
    """Return a question of b to a, as a got it."""
    heard: list[Heard] = []
    async with worker(tmp_path, "b:1") as b, eavesdropping(heard) as port:
        own = a.setup.peers.own
        assert own is not None
        a.setup.peers.own = replace(own, url=f"http://127.0.0.1:{port}")
        b.setup.peers.records = [a.setup.peers.own]
        await b.internal(f"{PENDING}?limit=7")
    return heard[0]


async def test_a_question_is_for_one_path_one_process_and_a_short_time(
    a: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = await signed_for(a, tmp_path)
    own = a.setup.peers.own
    assert own is not None
    assert await repeated(a, heard) == 200  # by who could have had the answer, too
    assert await repeated(a, heard, path=heard.path.replace("limit=7", "limit=8")) == 401
    assert await repeated(a, heard, path=f"{WORKER}") == 401
    assert await repeated(a, heard, path=PENDING) == 401  # signatures are for workers' paths only
    assert await repeated(a, heard, method="HEAD") == 401
    for changed in (
        replace(own, worker="a:2"),
        replace(own, url="http://127.0.0.1:1"),
        replace(own, started_at=own.started_at + timedelta(microseconds=1)),
        None,
    ):
        a.setup.peers.own = changed
        assert await repeated(a, heard) == 401
    a.setup.peers.own = own
    at = int(heard.headers[HEADER].partition(".")[0])
    for now, status in (
        (at + TOLERANCE_SECONDS, 200),
        (at + TOLERANCE_SECONDS + 1, 401),
        (at - TOLERANCE_SECONDS, 200),
        (at - TOLERANCE_SECONDS - 1, 401),
    ):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert await repeated(a, heard) == status


@pytest.mark.parametrize(
    "forged", ["", "x", "1.2", f"{2**62}.{'0' * 64}", f"-1.{'0' * 64}", f"٣.{'0' * 64}"]
)
async def test_a_signature_that_is_none_opens_nothing(a: Api, forged: str) -> None:
    headers = {HEADER: forged, "X-Service-ID": "x"}
    reply = await a.send("GET", WORKER, user=None, headers=headers)
    reply.problem(401, "AUTHENTICATION_REQUIRED")


async def test_workers_without_a_key_refuse_each_other(tmp_path: Path) -> None:
    async with memory_stores(Policy()) as stores:
        tables = FakeTables(worker="a:1")
        async with serving(Setup(stores, keys=(), tables=tables), tmp_path / "a") as a:
            known(a)
            heard = await signed_for(a, tmp_path)
            assert await repeated(a, heard) == 401


async def test_the_version_before_sends_the_key_itself(a: Api) -> None:
    assert (await a.internal(WORKER)).status == 200
    assert (await a.internal(f"{WORKER}{DRIFT}", "POST", {"repair": False})).status == 202


async def test_keys_are_rotated_without_a_gap(tmp_path: Path) -> None:
    steps = [
        (("old",), ("old", "new")),
        (("old", "new"), ("new", "old")),
        (("new", "old"), ("new",)),
    ]
    for step, keys in enumerate(steps):
        async with two_workers(tmp_path / str(step), keys=keys) as workers:
            for api in (workers.a, workers.b):
                for key in api.setup.keys:
                    reply = await asked_with(api, key)
                    assert reply.json["tables"][0]["complete"] is True
                assert (await asked_with(api, ",".join(api.setup.keys) + ",")).status == 401


async def asked_with(api: Api, key: str) -> Reply:
    headers = {**SERVICE, "X-Internal-API-Key": key}
    return await api.send("GET", TABLES, user=None, headers=headers)


@pytest.mark.parametrize(
    "path", ["/v1/classes", f"/v1/classes/{new_id()}/roster", TABLES, WORKER, "/v1/nothing"]
)
@pytest.mark.parametrize(
    "name", ["X-User-ID", "X-Internal-API-Key", "X-Service-ID", "Authorization", HEADER]
)
@pytest.mark.parametrize("same", [True, False])
async def test_who_is_calling_is_said_once(a: Api, path: str, name: str, *, same: bool) -> None:
    given = {"X-User-ID": "t", **SERVICE} if name not in {HEADER, "Authorization"} else {name: "x"}
    lines = [f"{header}: {value}" for header, value in given.items()]
    lines.append(f"{name}: {given[name] if same else 'other'}")
    async with wire(a.port) as connection:
        connection.send(f"GET {path} HTTP/1.1", "Host: x", *lines)
        (await connection.answer()).problem(401, "AUTHENTICATION_REQUIRED")


async def test_what_came_twice_is_not_taken_over(a: Api) -> None:
    one, other = new_id(), new_id()
    async with wire(a.port) as connection:
        connection.get("/v1/classes", f"X-Correlation-ID: {one}", f"X-Correlation-ID: {other}")
        answer = await connection.answer()
        assert answer.status == 200
        assert answer.headers["x-correlation-id"] not in {str(one), str(other)}
