"""Imports over a running service: killed in the middle, nothing is half done and nothing twice."""

import asyncio
from collections import Counter
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import Reply, Teacher
from devstack.rig.kafka import CLASS_CREATED, STUDENT_CREATED, Topics
from devstack.rig.redis import listening
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.waiting import until

CLASSES: Final = 60
STUDENTS: Final = 25
#: Classes that are applied, at least, when the worker is killed.
APPLIED_BEFORE_KILLS: Final = (1, 10, 25)

pytestmark = pytest.mark.timeout(300)


def file_of(classes: int, students: int, email: str) -> bytes:
    """Return a file of new classes with new students; one student is in all of them."""
    lines = ["class,course,first name,last name,email,external id"]
    for k in range(classes):
        lines.append(f"8{k},SV1,Åsa,Öberg,{email.format('all')},all")
        lines += (
            f"8{k},SV1,Bo,Berg {n},{email.format(f'{k}.{n}')},{k}/{n}" for n in range(students - 1)
        )
    return "\n".join(lines).encode()


async def ask(
    teacher: Teacher, method: str, path: str, body: bytes | None = None, **headers: str
) -> Reply:
    """Send a request that is not JSON."""
    http = teacher.http
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.session.request(
        method,
        f"http://{http.host}:{http.port}{path}",
        data=body,
        headers={"X-User-ID": quote(teacher.id), **named},
        timeout=aiohttp.ClientTimeout(60),
    ) as response:
        return Reply(response.status, response.headers, await response.read())


async def planned(teacher: Teacher, body: bytes) -> Reply:
    reply = await ask(teacher, "POST", "/v1/imports", body, Content_Type="text/csv")
    assert reply.status == 201, reply.body
    return reply


async def applied(teacher: Teacher, plan: Reply) -> None:
    path = f"/v1/imports/{plan.json['id']}/apply?force=true"
    reply = await ask(teacher, "POST", path, If_Match=plan.headers["ETag"])
    assert reply.status == 202, reply.body


async def ended(teacher: Teacher, plan: Reply) -> Any:  # noqa: ANN401  # JSON
    """Return an import once it has ended."""
    path = f"/v1/imports/{plan.json['id']}"

    async def look() -> bool:
        return bool((await teacher.done("GET", path))["state"] != "applying")

    await until("the end of the import", look)
    return await teacher.done("GET", path)


@pytest.mark.parametrize("beside", [False, True])
async def test_a_worker_killed_in_an_import_leaves_nothing_half_and_nothing_twice(
    host: Host,
    service: ServiceProcess,
    settings: dict[str, str],
    teacher: Teacher,
    topics: Topics,
    database: Database,
    *,
    beside: bool,
) -> None:
    """`beside`: another worker goes on meanwhile."""
    email = "{}." + teacher.id.rpartition("-")[2] + "@skola.example"
    plan = await planned(teacher, file_of(CLASSES, STUDENTS, email))
    assert plan.json["summary"]["classes_created"] == CLASSES
    other = host.another(settings) if beside else None
    try:
        await applied(teacher, plan)
        for count in APPLIED_BEFORE_KILLS:
            await made(database, teacher, count)
            service.kill()
            await whole(database, teacher)
            await asyncio.to_thread(service.again)
        done = await ended(teacher, plan)
    finally:
        if other is not None:
            await asyncio.to_thread(other.stop)
    assert (done["state"], done["progress"], done["left_out"]) == ("applied", 1.0, [])

    await whole(database, teacher)
    classes = await database.column("select id from classes where owner_id = $1", teacher.id)
    students = await database.column("select id from students where owner_id = $1", teacher.id)
    assert len(classes) == CLASSES
    assert len(students) == CLASSES * (STUDENTS - 1) + 1
    await topics.settle()
    for topic, ids in ((CLASS_CREATED, classes), (STUDENT_CREATED, students)):
        told = Counter(len({m.event_id for m in topics.now(topic, str(one))}) for one in ids)
        assert told == {1: len(ids)}


async def made(database: Database, teacher: Teacher, count: int) -> None:
    """Wait until so many classes are there."""

    async def look() -> bool:
        found = await database.value("select count(*) from classes where owner_id = $1", teacher.id)
        return bool(found >= count)

    await until(f"{count} classes", look)


async def whole(database: Database, teacher: Teacher) -> None:
    """Check that each class that is there has all of its students."""
    sizes = await database.column(
        "select count(*) from enrollments where owner_id = $1 group by class_id", teacher.id
    )
    assert set(sizes) <= {STUDENTS}


async def test_how_far_an_import_is_comes_over_redis(
    host: Host, service: ServiceProcess, teacher: Teacher
) -> None:
    assert service.pid is not None
    assert host.stack.valkey is not None
    async with listening(host.stack.valkey.url, teacher.id) as listener:
        plan = await planned(teacher, file_of(2, 3, "{}@skola.example"))
        await applied(teacher, plan)
        await ended(teacher, plan)

        async def look() -> bool:
            return any(one["data"].get("state") == "applied" for one in listener.messages)

        await until("the end over Redis", look)
    told = [one["data"] for one in listener.messages if one["event"] == "import_progressed"]
    assert {one["import_id"] for one in told} == {plan.json["id"]}
    assert told[-1]["progress"] == 1.0
