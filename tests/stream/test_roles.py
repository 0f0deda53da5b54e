"""Processes that only answer HTTP, beside a worker that only takes part in the streams."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
import psutil
import pytest

from devstack.rig.http import Http, Reply
from devstack.rig.kafka import CLASS_CREATED, CONFIRMED, PARTITIONS, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until

PROCESSES: Final = 2
TABLES: Final = "/internal/v1/tables"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings() -> Mapping[str, str]:
    """Have the worker of `service` take part in the streams only."""
    return {"ROLE": "stream", "TIMEOUT_HOURS": str(4 / 3600)}


@pytest.fixture
def web(
    host: Host, service: ServiceProcess, settings: Mapping[str, str]
) -> Iterator[ServiceProcess]:
    """Have processes that only answer HTTP."""
    assert service.pid is not None
    worker = host.another({**settings, "ROLE": "web"}, "--processes", str(PROCESSES))
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture
def http_of_web(http: Http, web: ServiceProcess) -> Http:
    """Speak to the processes that answer HTTP."""
    return Http(http.session, web.port)


def children(web: ServiceProcess) -> list[psutil.Process]:
    """Return the processes behind the port."""
    assert web.pid is not None
    return psutil.Process(web.pid).children()


async def test_the_work_of_both_is_the_work_of_one(
    http: Http, http_of_web: Http, topics: Topics
) -> None:
    teacher = http_of_web.teacher()
    roster = await teacher.new_roster(1)
    await topics.expect(CLASS_CREATED, roster.class_id)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is True
    (found,) = await teacher.stored(batch.batch_id)
    assert found["validation_status"] == "timeout_confirmed"

    reply = await http.teacher().send("GET", "/v1/classes")
    assert (reply.status, reply.json["error_code"]) == (404, "NOT_FOUND")


async def test_a_process_without_a_table_tells_of_those_that_have_it(
    http: Http, http_of_web: Http
) -> None:
    async def whole() -> bool:
        (table,) = (await http_of_web.internal_json(TABLES))["tables"]
        return bool(table["complete"])

    await until("the table to be complete", whole)
    (table,) = (await http_of_web.internal_json(TABLES))["tables"]
    (worker,) = table["workers"]
    assert worker["partitions"] == list(range(PARTITIONS))
    seen: list[Any] = []

    async def alike() -> bool:
        # What changes between two questions is another answer.
        seen[:] = [(await one.internal_json(TABLES))["tables"] for one in (http_of_web, http)]
        return bool(seen[0] == seen[1])

    await until("both to tell the same", alike, lambda: seen)


async def test_its_health_says_what_it_does_not_use(http_of_web: Http) -> None:
    async def healthy() -> Reply | None:
        reply = await http_of_web.send("GET", "/healthz")
        return reply if reply.status == 200 else None

    # A process that has just started on a busy machine may not have asked PostgreSQL yet.
    reply = await until("a process that is well", healthy)
    assert reply is not None
    assert reply.json["dependencies"] == {
        "database": "ok",
        "kafka": "not used",
        "redis": "not used",
        "stream": "not used",
    }


async def test_one_that_ends_is_started_again_and_the_others_answer(
    web: ServiceProcess, http_of_web: Http
) -> None:
    first = children(web)
    assert len(first) == PROCESSES
    os.kill(first[0].pid, signal.SIGKILL)

    async def replaced() -> bool:
        now = {child.pid for child in await asyncio.to_thread(children, web)}
        return len(now) == PROCESSES and first[0].pid not in now

    async def answered() -> bool:
        try:
            return (await http_of_web.send("GET", "/livez")).status == 200
        except aiohttp.ClientError:  # it was sent to the one that is gone
            return False

    await until("the process to be replaced", replaced)
    await until("an answer", answered)
    assert web.logged("web process ended by itself")
    all_of_them = children(web)
    web.end()
    assert not any(child.is_running() for child in all_of_them)
