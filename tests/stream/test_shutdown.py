"""Stopping the service."""

import asyncio
import contextlib
import shutil
from typing import Final
from urllib.parse import quote

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import CLASS_CREATED, Topics
from devstack.rig.outages import Fault, frozen, stopped
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import PATIENCE_SECONDS, until

CLIENTS: Final = 16
ENOUGH: Final = 200
IN_HAND_SECONDS: Final = 4

pytestmark = pytest.mark.timeout(240)


async def test_sigterm_ends_a_busy_worker_in_good_order_and_nothing_accepted_is_lost(
    service: ServiceProcess, teacher: Teacher, topics: Topics, database: Database
) -> None:
    class_id = await teacher.new_class()
    for _ in range(20):
        await topics.suggest(suggest(class_id, [], []))
    accepted: list[str] = []
    refused: list[int] = []

    async def client() -> None:
        while True:
            body = {"name": "9A", "course_codes": ["SV1"]}
            try:
                reply = await teacher.send("POST", "/v1/classes", body)
            except (aiohttp.ClientError, TimeoutError):
                return
            if reply.status == 201:
                accepted.append(reply.json["id"])
            else:
                refused.append(reply.status)

    async def busy() -> bool:
        return len(accepted) > ENOUGH

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(client())
        await until(f"{ENOUGH} classes", busy)
        await asyncio.to_thread(service.end)

    assert set(refused) <= {503}
    await asyncio.to_thread(service.again)
    found = await database.column("select id from classes where owner_id = $1", teacher.id)
    assert set(accepted) <= set(map(str, found))
    await topics.settle()
    for made in map(str, found):
        assert len({m.event_id for m in topics.now(CLASS_CREATED, made)}) == 1


async def test_sigterm_ends_open_streams(service: ServiceProcess, teacher: Teacher) -> None:
    http = teacher.http
    url = f"http://{http.host}:{http.port}/v1/notifications/stream"
    patience = aiohttp.ClientTimeout(PATIENCE_SECONDS)
    headers = {"X-User-ID": quote(teacher.id)}
    async with http.session.get(url, headers=headers, timeout=patience) as stream:
        await stream.content.readuntil(b"\n\n")
        await teacher.new_class()
        while (event := await stream.content.readuntil(b"\n\n")).startswith(b":"):
            pass  # a comment, which only keeps the stream open
        assert event.startswith(b"event: class_created\n")
        # One that did not end would break the stop off, which `end` takes for a failure.
        await asyncio.to_thread(service.end)
        await stream.content.read()


@pytest.mark.parametrize("fault", [stopped, frozen])
@pytest.mark.parametrize("away", ["postgres", "broker"])
async def test_sigterm_ends_a_worker_whose_dependency_is_away(
    host: Host, service: ServiceProcess, teacher: Teacher, away: str, fault: Fault
) -> None:
    server = host.server(away)
    if server is host.stack.broker and not host.stack.broker.keeps_data and fault is stopped:
        pytest.skip("keeps everything in memory: a stop would be more than an outage")
    await teacher.new_class()
    async with fault(server):
        # Something is under way to each of them.
        await teacher.send("POST", "/v1/classes", {"name": "9B", "course_codes": ["SV1"]})
        await asyncio.to_thread(service.end)


@pytest.mark.parametrize("fault", [stopped, frozen])
async def test_a_stop_while_suggestions_wait_for_postgresql_loses_none(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, fault: Fault
) -> None:
    class_id = await teacher.new_class()
    messages = [suggest(class_id, [], []) for _ in range(20)]
    async with fault(host.server("postgres")):
        for message in messages:
            await topics.suggest(message)
        # Long enough for the agent to have them in hand, and for Faust to commit, if it would.
        await asyncio.sleep(IN_HAND_SECONDS)
        await asyncio.to_thread(service.end)
    await asyncio.to_thread(service.again)

    for message in messages:
        await teacher.stored(message.batch_id, essays=2)


@pytest.mark.parametrize("broker_hangs", [False, True])
async def test_sigterm_ends_a_worker_that_is_still_starting(
    host: Host, service: ServiceProcess, http: Http, *, broker_hangs: bool
) -> None:
    service.end()
    shutil.rmtree(host.stack.data_dir / "v1" / "tables")
    await asyncio.to_thread(service.begin)

    async def listening() -> bool:
        try:
            return (await http.send("GET", "/livez")).status == 200
        except aiohttp.ClientError:
            return False

    await until("the worker to listen", listening)
    async with frozen(host.server("broker")) if broker_hangs else contextlib.nullcontext():
        await asyncio.to_thread(service.end)
    await asyncio.to_thread(service.start)
