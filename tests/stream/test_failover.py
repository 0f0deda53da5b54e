"""A PostgreSQL that takes no writes: the service says so, and goes on with the next that does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.http import Http, Reply, Teacher
from devstack.rig.kafka import CLASS_CREATED, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.waiting import until
from devstack.standby import StandbyPostgres, url_of_all
from tests.support.shared import copied

REFUSED: Final = 20
AWAY: Final = "database away, loop waits"
BACK: Final = "database back"
NEW_CLASS: Final = {"name": "9A", "course_codes": ["SV1"]}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def postgres(host: Host) -> Iterator[EmbeddedPostgres]:
    server = host.server("postgres")
    assert isinstance(server, EmbeddedPostgres)
    yield server
    server.set_read_only(read_only=False)


async def write(teacher: Teacher) -> Reply:
    return await teacher.send("POST", "/v1/classes", NEW_CLASS)


async def health_is(http: Http, path: str, status: int, database: str) -> None:
    async def look() -> bool:
        found, body = await http.health(path)
        return (found, body["dependencies"]["database"]) == (status, database)

    await until(f"{status} and {database} from {path}", look)


async def test_a_database_that_takes_no_writes_is_said_and_left(
    service: ServiceProcess, teacher: Teacher, topics: Topics, postgres: EmbeddedPostgres
) -> None:
    process = service.pid
    await teacher.new_class()
    before = len(service.logged(AWAY)), len(service.logged(BACK))
    await asyncio.to_thread(postgres.set_read_only)
    reply = await write(teacher)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    await health_is(teacher.http, "/readyz", 503, "read_only")
    await health_is(teacher.http, "/healthz", 503, "read_only")
    assert (await teacher.http.health("/livez"))[0] == 200
    for _ in range(REFUSED):
        assert (await write(teacher)).status == 503

    await asyncio.to_thread(postgres.set_read_only, read_only=False)
    await health_is(teacher.http, "/readyz", 200, "ok")
    class_id = await teacher.new_class()
    await topics.expect(CLASS_CREATED, class_id)
    assert service.pid == process

    async def all_back() -> bool:
        left, returned = (last(service, *what) for what in zip((AWAY, BACK), before, strict=True))
        return bool(left) and all(at < returned.get(loop, "") for loop, at in left.items())

    await until("every loop that left to be back", all_back)
    lines = [x for x in service.logged("requests answered 503") if x["cause"] == "read_only"]
    assert 0 < len(lines) < REFUSED
    metrics = (await teacher.http.send("GET", "/metrics")).body.decode()
    assert 'class_management_unavailable_total{cause="disk_full"} 0.0' in metrics
    assert 'class_management_unavailable_total{cause="read_only"} 0.0' not in metrics


def last(service: ServiceProcess, event: str, before: int) -> dict[str, str]:
    """Return when each loop wrote a line last, without so many lines from before."""
    lines = service.logged(event)[before:]
    return {line["loop"]: line["timestamp"] for line in lines if "loop" in line}


@pytest.fixture
def primary(postgres_data: Path, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(copied(postgres_data, tmp_path / "primary")) as server:
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path: Path) -> Iterator[StandbyPostgres]:
    with StandbyPostgres(tmp_path / "standby", primary) as server:
        server.make_synchronous()
        yield server


async def test_writing_goes_on_where_the_standby_took_over(
    host: Host, primary: EmbeddedPostgres, standby: StandbyPostgres
) -> None:
    settings = {"ROLE": "web", "DATABASE_URL": url_of_all(primary, standby)}
    worker = await asyncio.to_thread(host.another, settings)
    try:
        async with aiohttp.ClientSession() as session:
            teacher = Http(session, worker.port).teacher()
            made = [await teacher.new_class() for _ in range(20)]
            await asyncio.to_thread(primary.kill)
            assert (await write(teacher)).status == 503
            await health_is(teacher.http, "/readyz", 503, "read_only")
            await asyncio.to_thread(standby.promote)

            async def written() -> bool:
                return (await write(teacher)).status == 201

            await until("a write on the new primary", written)
            await health_is(teacher.http, "/readyz", 200, "ok")
            for class_id in made:
                assert (await teacher.send("GET", f"/v1/classes/{class_id}")).status == 200
        assert worker.logged("dependency away")
        assert worker.logged("dependency back")
    finally:
        await asyncio.to_thread(worker.stop)
