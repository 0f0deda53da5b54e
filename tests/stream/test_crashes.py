"""Messages that come again, and a worker that is killed with its hands full."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import Teacher, yes
from devstack.rig.kafka import (
    CLASS_CREATED,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    NOTIFICATIONS,
    STUDENT_CREATED,
    TIMERS,
    Message,
    Topics,
    committed,
)
from devstack.rig.outages import killed
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import Suggested, suggest
from devstack.rig.waiting import until

BATCHES: Final = 200
ESSAYS: Final = 10
#: How many batches of a half have been sent, at the most, and stored, at least, at the crash.
SENT_BEFORE_CRASH: Final = 60
STORED_BEFORE_CRASH: Final = 10
SEND_PAUSE_SECONDS: Final = 0.01


@pytest.mark.timeout(240)
async def test_a_message_delivered_again_changes_nothing_also_after_restarts(
    service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(2)
    first, second = roster.student_ids
    batch = suggest(roster.class_id, [(first, 0.9)], [(second, 0.8)])

    async def handled() -> None:
        """Send the message, and wait for one behind it in the same partition."""
        await topics.suggest(batch)
        behind = suggest(roster.class_id, [])
        await topics.suggest(behind, key=batch.batch_id)
        await teacher.stored(behind.batch_id)

    async def traces() -> tuple[object, ...]:
        await topics.settle()
        notified = [m for m in topics.now(NOTIFICATIONS, teacher.id) if _is_about(m, batch)]
        shown = (await teacher.batch(batch.batch_id)).json
        return (
            {name: value for name, value in shown.items() if name != "server_time"},
            Counter(m.data["notification_type"] for m in notified),
            [m.data for m in topics.now(TIMERS, batch.batch_id) if m.data["event"] == "armed"],
            [m.event_id for m in topics.now(CONFIRMED, batch.batch_id)],
            [m.value for m in topics.now(DEAD_SUGGESTIONS, batch.batch_id)],
        )

    await handled()
    once = await traces()
    assert once[1] == {"student_matches_suggested": 1}
    await asyncio.to_thread(service.again)
    await handled()
    twice = await traces()
    # A start arms a timer again where the table had not got it yet: the same, and harmless.
    assert (twice[:2], twice[3:]) == (once[:2], once[3:])

    assert (await teacher.confirm(batch.batch_id, *map(yes, batch.essay_ids))).status == 200
    closed = await traces()
    assert closed[1] == {"student_matches_suggested": 1, "student_associations_confirmed": 1}
    service.kill()
    await asyncio.to_thread(service.again)
    await handled()
    after = await traces()
    assert (after[:2], after[3:]) == (closed[:2], closed[3:])
    assert len(topics.now(CONFIRMED, batch.batch_id)) == 1
    assert topics.now(DEAD_SUGGESTIONS, batch.batch_id) == []


@dataclass
class Accepted:
    """What the service answered 201 to."""

    class_ids: list[str] = field(default_factory=list)
    student_ids: list[str] = field(default_factory=list)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["worker", "postgres", "broker"])
async def test_after_a_crash_everything_is_stored_once_and_all_of_it_published(
    host: Host,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
    victim: str,
) -> None:
    server = service if victim == "worker" else host.server(victim)
    if server is host.stack.broker and not host.stack.broker.keeps_data:
        pytest.skip("keeps everything in memory: a crash loses it")
    roster = await teacher.new_roster(ESSAYS)
    # So certain that each batch closes as soon as it is stored.
    essays = [[(student, 1.0)] for student in roster.student_ids]
    batches = [suggest(roster.class_id, *essays) for _ in range(BATCHES)]

    async def stored(count: int) -> None:
        async def look() -> bool:
            sql = "select count(*) from batches where class_id = $1"
            return bool(await database.value(sql, UUID(roster.class_id)) >= count)

        await until(f"{count} stored batches", look)

    async with asking_for_more(teacher) as accepted:
        for begin in (0, BATCHES // 2):
            half = batches[begin : begin + BATCHES // 2]
            before = asyncio.create_task(send_all(topics, half[:SENT_BEFORE_CRASH]))
            await stored(begin + STORED_BEFORE_CRASH)
            async with killed(server):
                after = asyncio.create_task(send_all(topics, half[SENT_BEFORE_CRASH:]))
            await asyncio.gather(before, after)
        await stored(BATCHES)

    # A worker that only reads on, as no member of its group, commits nothing.
    assert host.stack.broker is not None
    await committed(host.stack.broker.bootstrap_servers)

    found = await database.column(
        "select essay_id from associations join batches on batches.id = batch_id"
        " where class_id = $1",
        UUID(roster.class_id),
    )
    expected = {essay for batch in batches for essay in batch.essay_ids}
    assert Counter(map(str, found)) == Counter(expected)

    await topics.settle()
    notified = [m for m in topics.now(NOTIFICATIONS, teacher.id) if m.data["batch_id"]]
    for kind in ("student_matches_suggested", "student_associations_confirmed"):
        of_kind = [m for m in notified if m.data["notification_type"] == kind]
        assert events_by(of_kind, "batch_id") == dict.fromkeys((b.batch_id for b in batches), 1)
    for batch in batches:
        told = topics.now(CONFIRMED, batch.batch_id)
        assert events_by(told, "batch_id") == {batch.batch_id: 1}
        assert {a["essay_id"] for a in told[0].data["associations"]} == set(batch.essay_ids)
        assert topics.now(DEAD_SUGGESTIONS, batch.batch_id) == []

    # A request whose answer got lost may have happened: then its event is there all the same.
    classes = await database.column("select id from classes where owner_id = $1", teacher.id)
    students = await database.column("select id from students where owner_id = $1", teacher.id)
    assert set(accepted.class_ids) <= set(map(str, classes))
    assert set(accepted.student_ids) <= set(map(str, students))
    for topic, ids in ((CLASS_CREATED, classes), (STUDENT_CREATED, students)):
        for made in map(str, ids):
            assert len({m.event_id for m in topics.now(topic, made)}) == 1
    assert accepted.class_ids
    assert accepted.student_ids
    assert_one_content_for_ever(topics)


async def send_all(topics: Topics, batches: Sequence[Suggested]) -> None:
    for batch in batches:
        await topics.suggest(batch)
        await asyncio.sleep(SEND_PAUSE_SECONDS)


@asynccontextmanager
async def asking_for_more(teacher: Teacher) -> AsyncIterator[Accepted]:
    """Make classes and students all the while, also where nobody answers."""
    accepted = Accepted()
    new_class = {"name": "9A", "course_codes": ["SV1"]}
    new_student = {"person_name": {"first_name": "Åsa", "last_name": "Öberg"}}

    async def take(path: str, body: object, ids: list[str]) -> None:
        reply = await teacher.send("POST", path, body)
        assert reply.status in {201, 503}, reply.body
        if reply.status == 201:
            ids.append(reply.json["id"])

    async def ask() -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await take("/v1/classes", new_class, accepted.class_ids)
                await take("/v1/classes/students", new_student, accepted.student_ids)
            await asyncio.sleep(SEND_PAUSE_SECONDS)

    asking = asyncio.create_task(ask())
    try:
        yield accepted
    finally:
        asking.cancel()
        (ended,) = await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), ended


def events_by(messages: Sequence[Message], member: str) -> dict[str, int]:
    """Count the different events about each thing; the same one may have come twice."""
    different = {m.event_id: m.data[member] for m in messages}
    return dict(Counter(different.values()))


def assert_one_content_for_ever(topics: Topics) -> None:
    """Compare all events that were ever published under one id."""
    seen: dict[str, Message] = {}
    for message in topics.published():
        first = seen.setdefault(message.event_id, message)
        assert (first.topic, first.key) == (message.topic, message.key)
        assert (first.value, first.headers) == (message.value, message.headers)


def _is_about(message: Message, batch: Suggested) -> bool:
    return bool(message.data["batch_id"] == batch.batch_id)
