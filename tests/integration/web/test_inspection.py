"""Inspection over all workers: any of them answers for all, and says where somebody is missing."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import TypeAdapter

from devstack.ports import free_port
from rules.ids import new_id
from rules.models import Policy
from store.protocols.workers import WorkerRecord
from tables.entries import Reconciliation, TableEntry
from telemetry.status import Status
from tests.integration.web.api import INTERNAL_KEY, SERVICE, Api, Setup, serving
from tests.integration.web.fakes import PARTITIONS, START, FakeTables, entry, partition_of
from tests.support.stores import memory_stores

TABLES: Final = "/internal/v1/tables"
PENDING: Final = f"{TABLES}/pending-associations"
DRIFT: Final = f"{PENDING}/drift"
WORKER: Final = "/internal/v1/worker/tables"
STATUS: Final = "/internal/v1/worker/status"
#: For an answer: long on a busy machine, and short where somebody never answers.
PATIENT: Final = 30.0
IMPATIENT: Final = 2.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Cluster:
    """Workers that know each other: `a` has the even partitions, `b` the odd ones."""

    a: Api
    b: Api
    entries: list[TableEntry]

    @property
    def batch_ids(self) -> list[str]:
        """Return all batches in the order in which they fall due."""
        ordered = sorted(self.entries, key=lambda e: (e.confirm_by, e.batch_id))
        return [str(e.batch_id) for e in ordered]


def record(worker: str, port: int, *partitions: int) -> WorkerRecord:
    return WorkerRecord(
        worker, f"http://127.0.0.1:{port}", partitions, "1", "all", datetime.now(UTC)
    )


@asynccontextmanager
async def worker(
    directory: Path,
    name: str,
    entries: Sequence[TableEntry] = (),
    partitions: Sequence[int] = range(PARTITIONS),
    *,
    has_part: bool = True,
    seconds: float = PATIENT,
    keys: Sequence[str] = (INTERNAL_KEY,),
) -> AsyncIterator[Api]:
    tables = FakeTables([replace(e, worker=name) for e in entries], name, partitions)
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores, seconds, keys=tuple(keys), tables=tables, has_part=has_part)
        async with serving(setup, directory / name) as api:
            yield api


def known(*apis: Api) -> list[WorkerRecord]:
    """Return the workers as they have announced themselves."""
    records = []
    for api in apis:
        tables = api.setup.tables
        api.setup.peers.own = record(tables.worker, api.port, *tables.partitions)
        records.append(api.setup.peers.own)
    return records


@asynccontextmanager
async def two_workers(
    directory: Path,
    seconds: float = PATIENT,
    keys: tuple[Sequence[str], Sequence[str]] = ((INTERNAL_KEY,), (INTERNAL_KEY,)),
) -> AsyncIterator[Cluster]:
    entries = [entry(number) for number in range(24)]
    even, odd = range(0, PARTITIONS, 2), range(1, PARTITIONS, 2)
    evens, odds = ([e for e in entries if e.partition in own] for own in (even, odd))
    async with (
        worker(directory, "a:1", evens, even, seconds=seconds, keys=keys[0]) as a,
        worker(directory, "b:1", odds, odd, seconds=seconds, keys=keys[1]) as b,
    ):
        a.setup.peers.records, b.setup.peers.records = known(b), known(a)
        yield Cluster(a, b, entries)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with two_workers(tmp_path) as workers:
        yield workers


async def paged(api: Api, query: str = "", limit: int = 5) -> list[dict[str, Any]]:
    """Follow the cursors to the end."""
    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.internal(f"{PENDING}?limit={limit}&cursor={cursor}{query}")).json
        assert page["complete"] is True
        seen += page["entries"]
        cursor = page["next_cursor"]
    return seen


# --- all workers answer ---------------------------------------------------------------------------


async def test_any_worker_answers_for_all(cluster: Cluster) -> None:
    for api in (cluster.a, cluster.b):
        [table] = (await api.internal(TABLES)).json["tables"]
        assert (table["complete"], table["partitions"], table["entries"]) == (True, PARTITIONS, 24)
        shown = {w["worker"]: (w["partitions"], w["reachable"]) for w in table["workers"]}
        assert shown == {"a:1": ([0, 2, 4, 6], True), "b:1": ([1, 3, 5, 7], True)}
        assert sum(w["entries"] for w in table["workers"]) == 24
        seen = await paged(api)
        assert [one["batch_id"] for one in seen] == cluster.batch_ids
        assert {one["worker"] for one in seen} == {"a:1", "b:1"}
        for one in cluster.entries:
            reply = await api.internal(f"{PENDING}/{one.batch_id}")
            assert (reply.status, reply.json["pending_count"]) == (200, one.pending_count)


async def test_filters_hold_for_all(cluster: Cluster) -> None:
    class_id = new_id()
    for api in (cluster.a, cluster.b):
        api.setup.tables.entries[0] = replace(api.setup.tables.entries[0], class_id=class_id)
    found = await paged(cluster.a, f"&class_id={class_id}")
    assert sorted(one["worker"] for one in found) == ["a:1", "b:1"]
    due = "2026-03-01T12:03:00Z"
    found = await paged(cluster.b, f"&due_before={due}")
    assert [one["batch_id"] for one in found] == cluster.batch_ids[:6]


async def test_what_a_worker_is_asked_by_another_is_what_it_was_asked_itself(
    cluster: Cluster,
) -> None:
    class_id = new_id()
    first = (await cluster.a.internal(f"{PENDING}?limit=3")).json
    query = f"limit=7&class_id={class_id}&due_before=2026-03-01T13:01:00.000001%2B01:00"
    await cluster.a.internal(f"{PENDING}?{query}&cursor={first['next_cursor']}")
    assert cluster.b.setup.tables.queries[-1] == cluster.a.setup.tables.queries[-1]


async def test_a_page_that_a_worker_has_in_both_of_two_claims_is_shown_once(
    cluster: Cluster,
) -> None:
    # A rebalance: b has been given a partition that a does not know yet to have lost.
    moved = [e for e in cluster.a.setup.tables.entries if e.partition == 0]
    cluster.b.setup.tables.partitions = (0, 1, 3, 5, 7)
    cluster.b.setup.tables.entries += [replace(e, worker="b:1") for e in moved]
    for api in (cluster.a, cluster.b):
        assert [one["batch_id"] for one in await paged(api, limit=2)] == cluster.batch_ids


async def test_a_batch_that_nobody_has_is_404_once_its_worker_says_so(cluster: Cluster) -> None:
    for api in (cluster.a, cluster.b):
        for _ in range(4):
            (await api.internal(f"{PENDING}/{new_id()}")).problem(404, "BATCH_NOT_FOUND")


async def test_a_process_without_partitions_answers_for_the_others(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with worker(tmp_path, "web:1", has_part=False) as api:
        api.setup.peers.records = known(cluster.a, cluster.b)
        [table] = (await api.internal(TABLES)).json["tables"]
        assert (table["complete"], table["entries"]) == (True, 24)
        assert [w["worker"] for w in table["workers"]] == ["a:1", "b:1"]
        assert [one["batch_id"] for one in await paged(api)] == cluster.batch_ids
        assert (await api.internal(f"{PENDING}/{cluster.batch_ids[3]}")).status == 200
        (await api.internal(WORKER)).problem(404, "NOT_FOUND")
        own_drift = f"{WORKER}/pending-associations/drift"
        (await api.internal(own_drift, "POST", {})).problem(400, "VALIDATION_ERROR")
        (await api.internal(own_drift, "POST", {"repair": True})).problem(404, "NOT_FOUND")

        api.setup.peers.records = []
        [table] = (await api.internal(TABLES)).json["tables"]
        assert (table["complete"], table["entries"], table["workers"]) == (False, 0, [])
        page = (await api.internal(PENDING)).json
        assert page == {"entries": [], "next_cursor": None, "complete": False}
        (await api.internal(f"{PENDING}/{new_id()}")).problem(503, "SERVICE_UNAVAILABLE")


async def test_a_worker_does_not_ask_itself(cluster: Cluster) -> None:
    cluster.a.setup.peers.records = known(cluster.a, cluster.b)
    [table] = (await cluster.a.internal(TABLES)).json["tables"]
    assert [w["worker"] for w in table["workers"]] == ["a:1", "b:1"]


async def test_the_correlation_id_goes_along(cluster: Cluster) -> None:
    seen: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        seen.append(request.headers["X-Correlation-ID"])
        assert request.headers["X-Service-ID"] == "class_management_service"
        return web.Response(status=500)

    given = str(new_id())
    async with answering(listen) as port:
        cluster.a.setup.peers.records = [record("c:1", port)]
        headers = {**SERVICE, "X-Correlation-ID": given}
        await cluster.a.send("GET", TABLES, user=None, headers=headers)
    assert seen == [given]


# --- somebody does not ----------------------------------------------------------------------------


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[int]:
    """Listen on a port, and answer everything in one way."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Listen as a frozen process does: connections are made, and nothing comes back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@asynccontextmanager
async def nobody() -> AsyncIterator[int]:
    """Give a port at which nothing listens."""
    yield free_port()


def saying(
    body: bytes, status: int = 200, encoding: str = "identity", location: str = ""
) -> Callable[[], Any]:
    headers = {"Content-Encoding": encoding, "Location": location}

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return lambda: answering(handler)


def holding(name: str) -> dict[str, object]:
    return {"worker": name, "partitions": [1, 3, 5, 7], "recovered": True}


def told(**members: object) -> bytes:
    """Return an answer of b:1, whatever is asked, with more or other members."""
    table = {**holding("b:1"), "entries": 3, "changelog_lag": 0, "reachable": True}
    whole = {
        "holding": holding("b:1"),
        "table": table,
        "entries": [],
        "more": False,
        "entry": None,
        "last": None,
    }
    return orjson.dumps({**whole, **members})


WRONG: Final = [entry(5), entry(1)]
FAULTS: Final[dict[str, Callable[[], Any]]] = {
    "refuses the connection": nobody,
    "is frozen": silent,
    "refuses the key": saying(b"{}", 401),
    "is of a version without the path": saying(b"{}", 404),
    "fails": saying(told(), 500),
    "is no JSON": saying(b"<html>"),
    "is nothing": saying(b""),
    "is other JSON": saying(b'{"tables": []}'),
    "is endless": saying(b" " * (1024**2 + 1) + told()),
    "leads elsewhere": saying(b"", 307, location="http://127.0.0.1:1/"),
    "is somebody else": saying(told(holding=holding("c:1"))),
    "says it is gzip": saying(told(), encoding="gzip"),
}
ONLY_PAGES: Final[dict[str, Callable[[], Any]]] = {
    "is out of order": saying(told(entries=WRONG)),
    "goes on behind nothing": saying(told(more=True)),
    "is more than was asked for": saying(told(entries=[entry(n) for n in range(101)])),
    "has no time zone": saying(
        told(entries=[replace(WRONG[0], confirm_by=START.replace(tzinfo=None))])
    ),
    "has no deadline": saying(told(entries=[{"batch_id": new_id()}])),
}


@pytest.fixture
async def with_fault(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Have b answer as the test's parameter says."""
    # Only one that never answers has to be given up.
    seconds = PATIENT if request.param in ONLY_PAGES.values() else IMPATIENT
    async with two_workers(tmp_path, seconds) as workers, request.param() as port:
        workers.a.setup.peers.records = [record("b:1", port, 1, 3, 5, 7)]
        yield workers


faulty = pytest.mark.parametrize("with_fault", FAULTS.values(), ids=FAULTS, indirect=True)


@faulty
async def test_the_rest_is_shown_and_marked_where_a_worker_does_not_answer(
    with_fault: Cluster,
) -> None:
    api = with_fault.a
    [table] = (await api.internal(TABLES)).json["tables"]
    own = len(api.setup.tables.entries)
    assert (table["complete"], table["entries"]) == (False, own)
    assert [(w["worker"], w["reachable"]) for w in table["workers"]] == [
        ("a:1", True),
        ("b:1", False),
    ]
    assert table["workers"][1]["partitions"] == [1, 3, 5, 7]

    page = (await api.internal(PENDING)).json
    assert (page["complete"], page["next_cursor"]) == (False, None)
    assert {one["worker"] for one in page["entries"]} == {"a:1"}
    assert len(page["entries"]) == own


@faulty
async def test_a_batch_is_404_only_where_its_worker_answers(with_fault: Cluster) -> None:
    api = with_fault.a
    for one in with_fault.entries:
        if one.partition % 2 == 0:
            assert (await api.internal(f"{PENDING}/{one.batch_id}")).status == 200
    unknown = {partition_of(batch_id) % 2: batch_id for batch_id in (new_id() for _ in range(64))}
    (await api.internal(f"{PENDING}/{unknown[0]}")).problem(404, "BATCH_NOT_FOUND")
    reply = await api.internal(f"{PENDING}/{unknown[1]}")
    document = reply.problem(503, "SERVICE_UNAVAILABLE")
    assert "worker that holds this part" in document["detail"]
    assert "Retry-After" in reply.headers


@pytest.mark.parametrize("with_fault", ONLY_PAGES.values(), ids=ONLY_PAGES, indirect=True)
async def test_a_page_that_cannot_be_is_none(with_fault: Cluster) -> None:
    api = with_fault.a
    assert (await api.internal(TABLES)).json["tables"][0]["complete"] is True
    page = (await api.internal(PENDING)).json
    assert page["complete"] is False
    assert len(page["entries"]) == len(api.setup.tables.entries)


async def test_who_does_not_know_its_url_is_not_reachable(cluster: Cluster) -> None:
    broken = replace(record("b:1", 1), url="nowhere")
    cluster.a.setup.peers.records = [broken]
    assert (await cluster.a.internal(TABLES)).json["tables"][0]["complete"] is False


async def test_a_partition_that_nobody_holds_is_missing(cluster: Cluster) -> None:
    cluster.b.setup.tables.partitions = (1, 3, 5)
    for path in (TABLES, PENDING):
        assert b'"complete":false' in (await cluster.a.internal(path)).body
    at_seven = next(i for i in (new_id() for _ in range(999)) if partition_of(i) == 7)
    (await cluster.a.internal(f"{PENDING}/{at_seven}")).problem(503, "SERVICE_UNAVAILABLE")


async def test_who_recovers_shows_what_it_has_and_that_it_is_not_all(cluster: Cluster) -> None:
    cluster.b.setup.tables.recovered = False
    page = (await cluster.a.internal(PENDING)).json
    assert (page["complete"], len(page["entries"])) == (False, 24)
    found = cluster.b.setup.tables.entries[0]
    assert (await cluster.a.internal(f"{PENDING}/{found.batch_id}")).status == 200
    missing = next(i for i in (new_id() for _ in range(999)) if partition_of(i) == 1)
    (await cluster.a.internal(f"{PENDING}/{missing}")).problem(503, "SERVICE_UNAVAILABLE")


async def test_nobody_asks_on_behalf_of_others(cluster: Cluster) -> None:
    # Each thinks that everybody else is behind every name: a question would never end.
    loops = [record(f"w{n}:1", cluster.a.port) for n in range(3)]
    cluster.a.setup.peers.records = cluster.b.setup.peers.records = loops
    for path in (TABLES, PENDING, DRIFT):
        assert (await cluster.a.internal(path)).json
    one = cluster.b.setup.tables.entries[0]
    (await cluster.a.internal(f"{PENDING}/{one.batch_id}")).problem(503, "SERVICE_UNAVAILABLE")


# --- what a worker knows of itself ----------------------------------------------------------------


async def test_a_worker_tells_others_what_it_knows_of_itself(cluster: Cluster) -> None:
    reply = await cluster.b.internal(STATUS)
    assert reply.json["holding"] == {
        "worker": "b:1",
        "partitions": [1, 3, 5, 7],
        "recovered": True,
    }
    status = cluster.b.setup.status.status
    assert TypeAdapter(Status).validate_python(reply.json["status"]) == status
    for other in ("version", "role", "started_at", "dead_letters", "requests"):
        assert other in reply.json["status"]


async def test_only_workers_are_told(cluster: Cluster, tmp_path: Path) -> None:
    (await cluster.a.get(STATUS, user=None)).problem(401, "AUTHENTICATION_REQUIRED")
    (await cluster.a.get(STATUS)).problem(401, "AUTHENTICATION_REQUIRED")
    async with worker(tmp_path, "web:1", has_part=False) as api:
        (await api.internal(STATUS)).problem(404, "NOT_FOUND")


# --- drift ----------------------------------------------------------------------------------------


def compared(*examples: UUID, running: bool = False, **counts: int) -> Reconciliation:
    started = datetime(2026, 11, 22, 8, tzinfo=UTC)
    figures = {"checked": 12, "missing": 0, "stale": 0, "different": 0, "mended": 0, **counts}
    return Reconciliation(
        running=running,
        repair=False,
        started_at=started,
        finished_at=None if running else started,
        examples=examples,
        **figures,
    )


async def test_drift_is_that_of_all_workers(cluster: Cluster) -> None:
    ids = [new_id() for _ in range(14)]
    cluster.a.setup.reconciler.last = compared(*ids[:7], missing=4, stale=3, mended=1)
    cluster.b.setup.reconciler.last = compared(*ids[7:], running=True, different=7)
    for api in (cluster.a, cluster.b):
        drift = (await api.internal(DRIFT)).json
        workers = drift.pop("workers")
        assert drift == {
            "complete": True,
            "running": True,
            "checked": 24,
            "missing": 4,
            "stale": 3,
            "different": 7,
            "mended": 1,
            "examples": [str(one) for one in ids[:10]],
        }
        assert workers[0] == {
            "worker": "a:1",
            "reachable": True,
            "running": False,
            "repair": False,
            "started_at": "2026-11-22T08:00:00Z",
            "finished_at": "2026-11-22T08:00:00Z",
            "checked": 12,
            "missing": 4,
            "stale": 3,
            "different": 0,
            "mended": 1,
            "examples": [str(one) for one in ids[:7]],
        }
        assert (workers[1]["worker"], workers[1]["running"]) == ("b:1", True)


@pytest.mark.parametrize("repair", [True, False])
async def test_a_comparison_is_asked_of_all_workers(cluster: Cluster, *, repair: bool) -> None:
    cluster.a.setup.reconciler.last = compared(missing=2)
    cluster.b.setup.reconciler.last = compared()
    reply = await cluster.b.internal(DRIFT, "POST", {"repair": repair})
    assert (reply.status, reply.json["missing"], reply.json["complete"]) == (202, 2, True)
    for api in (cluster.a, cluster.b):
        assert api.setup.reconciler.requests == [repair]


async def test_a_worker_that_never_compared_leaves_the_picture_incomplete(
    cluster: Cluster,
) -> None:
    cluster.a.setup.reconciler.last = compared()
    drift = (await cluster.a.internal(DRIFT)).json
    assert (drift["complete"], drift["running"], drift["checked"]) == (False, False, 12)
    assert drift["workers"][1]["reachable"] is True
    assert drift["workers"][1]["started_at"] is None


async def test_a_worker_that_is_away_leaves_the_picture_incomplete(cluster: Cluster) -> None:
    cluster.a.setup.reconciler.last = cluster.b.setup.reconciler.last = compared()
    async with nobody() as port:
        cluster.a.setup.peers.records = [record("b:1", port)]
        drift = (await cluster.a.internal(DRIFT)).json
        assert (drift["complete"], drift["workers"][1]["reachable"]) == (False, False)
        reply = await cluster.a.internal(DRIFT, "POST", {"repair": True})
        assert (reply.status, reply.json["complete"]) == (202, False)
    assert cluster.a.setup.reconciler.requests == [True]


@pytest.mark.parametrize("body", [{}, {"repair": "yes"}, {"repair": 1}, {"repair": None}, []])
@pytest.mark.parametrize("path", [DRIFT, f"{WORKER}/pending-associations/drift"])
async def test_what_is_asked_for_must_be_clear(cluster: Cluster, path: str, body: object) -> None:
    (await cluster.a.internal(path, "POST", body)).problem(400, "VALIDATION_ERROR")
    assert cluster.a.setup.reconciler.requests == []


@pytest.mark.parametrize("path", [DRIFT, f"{WORKER}/pending-associations/drift"])
async def test_drift_takes_no_other_method(cluster: Cluster, path: str) -> None:
    for method in ("PUT", "DELETE"):
        reply = await cluster.a.internal(path, method, {})
        reply.problem(405, "METHOD_NOT_ALLOWED")
        assert reply.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
