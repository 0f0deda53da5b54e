"""Requests with a key, on two workers that die, and all at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Reply, Teacher
from devstack.rig.kafka import CLASS_CREATED, STUDENT_CREATED, STUDENT_UPDATED, Topics
from devstack.rig.service import Host, ServiceProcess
from tests.support.held_commits import HeldCommits, holding

CLASSES: Final = "/v1/classes"
STUDENTS: Final = f"{CLASSES}/students"
NAME: Final = {"first_name": "Åsa", "last_name": "Öberg"}
REPLAYED: Final = "Idempotent-Replayed"
#: How long a worker may take to be there again.
AGAIN_SECONDS: Final = 30
#: Longer than the service waits for anything.
PATIENCE: Final = 30.0
AT_ONCE: Final = 50
COME_AGAIN: Final = {409, 429, 503}


@dataclass(frozen=True)
class Two:
    """A worker that may be killed, with a proxy in front of its PostgreSQL, and one that stays."""

    victim: ServiceProcess
    proxy: HeldCommits
    first: Http
    other: Http


@pytest.fixture
async def two(
    host: Host, service: ServiceProcess, http: Http, settings: Mapping[str, str]
) -> AsyncIterator[Two]:
    postgres = host.stack.postgres
    assert service.pid is not None
    assert postgres is not None
    async with holding(postgres.port) as proxy, aiohttp.ClientSession() as session:
        url = postgres.url.replace(f":{postgres.port}/", f":{proxy.port}/")
        victim = await asyncio.to_thread(host.another, {**settings, "DATABASE_URL": url})
        try:
            first = Http(session, victim.port, seconds=PATIENCE)
            yield Two(victim, proxy, first, Http(session, http.port, seconds=PATIENCE))
        finally:
            await asyncio.to_thread(victim.kill)


async def ask(
    http: Http, teacher: Teacher, key: str, method: str, path: str, body: object = None
) -> Reply:
    """Send a request with a key, and a correlation id of its own."""
    headers = {"X-User-ID": quote(teacher.id), "Idempotency-Key": key}
    return await http.send(method, path, body, headers=headers)


def same(reply: Reply) -> tuple[object, ...]:
    """Return what an answer has in common with another one to its key."""
    names = ("Location", "ETag", "Content-Type", "Content-Length")
    return reply.status, reply.body, [reply.headers.get(name) for name in names]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ends", ["killed", "cut"])
async def test_what_was_committed_and_not_answered_is_answered_when_it_is_asked_again(
    two: Two, teacher: Teacher, topics: Topics, database: Database, ends: str
) -> None:
    """The worker is killed, or loses its connection, after the commit and before the answer."""
    class_id = await teacher.new_class("8A")
    student = await teacher.new_student(class_id, first="Åse")
    new = {"name": "9A", "course_codes": ["SV1"]}
    made = await not_answered(two, teacher, database, ends, ("POST", CLASSES, new))
    renamed = ("PUT", f"{STUDENTS}/{student}", {"person_name": NAME})
    await not_answered(two, teacher, database, ends, renamed)
    deleted = ("DELETE", f"{CLASSES}/{class_id}", None)
    await not_answered(two, teacher, database, ends, deleted)

    read = await two.other.send("GET", made.headers["Location"], headers=user(teacher))
    assert read.json["name"] == made.json["name"] == "9A"
    assert read.headers["ETag"] == made.headers["ETag"]
    names = await database.column("select name from classes where owner_id = $1", teacher.id)
    assert names == ["9A"]
    await topics.settle()
    for topic, one in ((CLASS_CREATED, made.json["id"]), (STUDENT_UPDATED, student)):
        assert len({m.event_id for m in topics.now(topic, one)}) == 1


async def not_answered(
    two: Two, teacher: Teacher, database: Database, ends: str, request: tuple[str, str, Any]
) -> Reply:
    """Have a request committed, and its answer lost; return what is answered to it later."""
    key = f"nyckel-{uuid4()}"
    two.proxy.hold(key)
    asking = asyncio.create_task(ask(two.first, teacher, key, *request))
    committing = asyncio.create_task(two.proxy.committed.wait())
    await asyncio.wait([asking, committing], return_when=asyncio.FIRST_COMPLETED)
    assert not asking.done(), await asking
    if ends == "killed":
        await asyncio.to_thread(two.victim.kill)
        two.proxy.cut()
        with pytest.raises(aiohttp.ClientError):
            await asking
    else:
        two.proxy.cut()
        assert (await asking).status == 503
    await kept(database, key)

    reply = await ask(two.other, teacher, key, *request)
    assert reply.status in {200, 201, 204}, reply.body
    assert reply.headers.get(REPLAYED) == "true"
    if ends == "killed":
        await asyncio.to_thread(two.victim.start)
    async with asyncio.timeout(AGAIN_SECONDS):
        # A worker that has just lost its connections may have to say that the database is away.
        while (again := await ask(two.first, teacher, key, *request)).status == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (same(again), again.headers[REPLAYED]) == (same(reply), "true")
    return reply


def user(teacher: Teacher) -> dict[str, str]:
    return {"X-User-ID": quote(teacher.id)}


async def kept(database: Database, key: str) -> None:
    """Require that an answer is kept, once."""
    counts = "select count(*) from idempotency_keys where key = $1"
    assert await database.value(counts, key) == 1


@pytest.mark.timeout(240)
async def test_one_key_sent_all_at_once_to_two_workers_has_one_effect_and_one_answer(
    two: Two, teacher: Teacher, topics: Topics, database: Database
) -> None:
    key = f"nyckel-{uuid4()}"
    class_id = await teacher.new_class()
    body = {"person_name": NAME, "email": "asa@skola.example", "class_ids": [class_id]}

    async def one(number: int) -> tuple[list[Reply], Reply]:
        """Ask until it is known; return the answers before, and the last one.

        So many at once may be more than a busy machine answers in time, also after the commit.
        """
        http = (two.first, two.other)[number % 2]
        before: list[Reply] = []
        while True:
            reply = await ask(http, teacher, key, "POST", STUDENTS, body)
            if reply.status not in COME_AGAIN:
                return before, reply
            before.append(reply)
            await asyncio.sleep(float(reply.headers["Retry-After"]))

    answers = await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    came_again = [reply for before, _ in answers for reply in before]
    codes = {
        reply.json["error_code"] for reply in came_again if reply.status == HTTPStatus.CONFLICT
    }
    assert codes <= {"IDEMPOTENCY_CONFLICT"}
    last = [reply for _, reply in answers]
    assert {reply.status for reply in last} == {201}, {reply.body for reply in last}
    assert len({str(same(reply)) for reply in last}) == 1
    new = [reply for reply in last if REPLAYED not in reply.headers]
    late = [reply for reply in came_again if reply.status == HTTPStatus.SERVICE_UNAVAILABLE]
    assert len(new) == 1 or (late and not new)
    assert {reply.headers[REPLAYED] for reply in last if reply not in new} == {"true"}
    correlations = {reply.headers["X-Correlation-ID"] for reply in last}
    assert len(correlations) == AT_ONCE
    students = await database.column("select id from students where owner_id = $1", teacher.id)
    assert [str(one) for one in students] == [last[0].json["id"]]
    await topics.settle()
    [event] = {m.event_id: m for m in topics.now(STUDENT_CREATED, last[0].json["id"])}.values()
    makers = {reply.headers["X-Correlation-ID"] for reply in new or late}
    assert event.envelope["correlation_id"] in makers
    await kept(database, key)


@pytest.mark.timeout(240)
async def test_a_page_of_classes_continues_at_another_worker_while_classes_come_and_go(
    two: Two, teacher: Teacher
) -> None:
    stays = [await teacher.new_class(f"stays {n}") for n in range(30)]
    goes = [await teacher.new_class(f"goes {n}") for n in range(30)]

    async def changed() -> None:
        """Delete every other class, and make as many."""
        for one in goes:
            reply = await two.other.send("DELETE", f"{CLASSES}/{one}", headers=user(teacher))
            assert reply.status == 204
            await teacher.new_class("new")

    changing = asyncio.create_task(changed())
    seen: list[str] = []
    cursor: str | None = ""
    number = 0
    while cursor is not None:
        http = (two.first, two.other)[number % 2]
        path = f"{CLASSES}?limit=3&cursor={quote(cursor)}"
        reply = await http.send("GET", path, headers=user(teacher))
        assert reply.status == 200, reply.body
        seen += [one["id"] for one in reply.json["classes"]]
        cursor, number = reply.json["pagination"]["next_cursor"], number + 1
    await changing
    assert len(seen) == len(set(seen))
    assert set(stays) <= set(seen)
    assert [one for one in seen if one in stays] == stays[::-1]


WRITERS: Final = 200
ROUNDS: Final = 3


@pytest.mark.timeout(240)
async def test_of_two_hundred_who_write_at_once_with_one_tag_one_does(
    two: Two, teacher: Teacher, database: Database
) -> None:
    class_id = await teacher.new_class("0")
    path = f"{CLASSES}/{class_id}"
    tag = (await two.other.send("GET", path, headers=user(teacher))).headers["ETag"]

    async def write(number: int) -> Reply:
        """Write if nobody has."""
        http = (two.first, two.other)[number % 2]
        return await put(http, path, f"{tag} {number}", {**user(teacher), "If-Match": tag})

    for _ in range(ROUNDS):
        replies = await asyncio.gather(*(write(number) for number in range(WRITERS)))
        counts = Counter(reply.status for reply in replies)
        assert counts == {200: 1, 412: WRITERS - 1}
        [done] = [reply for reply in replies if reply.status == 200]
        read = await two.first.send("GET", path, headers=user(teacher))
        assert read.json["name"] == done.json["name"]
        assert read.headers["ETag"] == done.headers["ETag"] != tag
        tag = done.headers["ETag"]
    version = await database.value("select version from classes where id = $1", UUID(class_id))
    assert version == 1 + ROUNDS


async def put(http: Http, path: str, name: str, headers: Mapping[str, str]) -> Reply:
    """Rename a class; who has to come again does so with its key."""
    with_key = {**headers, "Idempotency-Key": f"nyckel-{uuid4()}"}
    return await known(lambda: http.send("PUT", path, {"name": name}, headers=with_key))


async def known(send: Callable[[], Awaitable[Reply]]) -> Reply:
    """Send until it is known what comes of it: a busy machine may not answer in time."""
    while (reply := await send()).status in COME_AGAIN:  # noqa: ASYNC110  # as it is told to
        await asyncio.sleep(float(reply.headers["Retry-After"]))
    return reply


@pytest.mark.timeout(240)
async def test_who_reads_counts_up_and_writes_with_the_tag_loses_no_count(
    two: Two, teacher: Teacher
) -> None:
    path = f"{CLASSES}/{await teacher.new_class('0')}"
    each, people = 10, 8

    async def count(number: int) -> None:
        http, done = (two.first, two.other)[number % 2], 0
        while done < each:
            read = await known(lambda: http.send("GET", path, headers=user(teacher)))
            headers = {**user(teacher), "If-Match": read.headers["ETag"]}
            reply = await put(http, path, str(int(read.json["name"]) + 1), headers)
            assert reply.status in {200, 412}, reply.body
            done += reply.status == 200

    await asyncio.gather(*(count(number) for number in range(people)))
    read = await two.other.send("GET", path, headers=user(teacher))
    assert read.json["name"] == str(each * people)
