"""Exports and erasings: everything of a person is found, and nothing of it is left."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import pytest

from devstack.rig.database import connected
from rules import topics
from rules.documents import student_json
from rules.errors import PlaceholderError, ServiceError
from rules.events.envelopes import to_json
from rules.feed import FeedQuery, ToldChange
from rules.history import ChangeKind, Entity
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.ids import new_id
from rules.models import HumanDecision, Method, Policy, StudentChange
from rules.personal.declarations import TABLES
from rules.personal.subjects import Kind, Report, Subject
from rules.timeouts import unknown_student_email
from store.postgres.privacy.work import guarded
from store.protocols.privacy import BeingErasedError, NothingStoredError
from tests.integration.store.builders import (
    Published,
    deliver,
    make_student,
    new_student,
    result,
    store_one,
    suggest,
)
from tests.support.personal import (
    FORMER_NAME,
    MARKS,
    NAME,
    NAME_JSON,
    TEACHER,
    World,
    found,
    plan,
    privacy,
    traced,
    world,
)
from tests.support.published import faults_of_message

DECIDED: Final = "select student_id, method, validated_by from associations where essay_id = $1"
#: The deletion says it: so others know whom to delete.
TOLD: Final = {"outbox_packs.content"}


def of_student(student_id: UUID) -> Subject:
    return Subject(Kind.STUDENT, str(student_id))


USER: Final = Subject(Kind.USER, TEACHER)


def silent(_table: str, _rows: int) -> None:
    """Tell nobody."""


async def erase(dsn: str, subject: Subject, patience: float = 10) -> Report:
    async with privacy(dsn) as store:
        return await store.erase(subject, silent, patience)


async def left(dsn: str, *more: str) -> set[str]:
    """Return what has a mark of the student in it, or one of these texts."""
    where: set[str] = set()
    return where.union(*[await found(dsn, mark) for mark in (*MARKS, *more)])


async def exported(dsn: str, subject: Subject) -> dict[str, list[Mapping[str, Any]]]:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    async with privacy(dsn) as store:
        async for table, row in store.export(subject):
            rows.setdefault(table, []).append(row)
        assert await store.counts(subject) == {name: len(some) for name, some in rows.items()}
    return rows


async def fetch(dsn: str, statement: str, *values: object) -> list[asyncpg.Record]:
    async with connected(dsn) as connection:
        rows = await connection.fetch(statement, *values)
    return list(rows)


async def unknown_of(dsn: str, class_id: UUID) -> UUID:
    statement = "select id from students where email = $1"
    [row] = await fetch(dsn, statement, unknown_student_email(class_id))
    return UUID(str(row["id"]))


async def test_the_world_has_traces_wherever_a_table_may_have_some(migrated_database: str) -> None:
    """Otherwise the search after an erasing would find nothing to begin with."""
    async with world(migrated_database):
        columns = set().union(*[await found(migrated_database, mark) for mark in MARKS])
    tables = {name.partition(".")[0].split("_2")[0] for name in columns}
    assert tables == {
        "students",
        "associations",
        "changes",
        "idempotency_keys",
        "outbox_packs",
        "outbox_set_aside",
        "parked",
        "imports",
        "import_rows",
        "import_marks",
    }
    assert {"associations.filename", "associations.match_reasons", "associations.suggestions"} < (
        columns
    )


async def test_after_an_erasing_no_table_has_a_name_or_an_address(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        report = await erase(migrated_database, of_student(there.student))
        assert await left(migrated_database) == TOLD
    assert report.unfinished == ()
    assert report.finished_at is not None
    assert report.counts.keys() == {
        "students",
        "associations",
        "changes",
        "idempotency_keys",
        "outbox_packs",
        "outbox_set_aside",
        "parked",
        "imports",
        "import_rows",
    }


async def test_only_the_deletion_tells_the_external_id(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        await erase(migrated_database, of_student(there.student))
        for message in await there.stores.published():
            telling = [mark for mark in MARKS if mark.encode() in (message.message.value or b"")]
            assert telling == ([MARKS[-1]] if message.topic == topics.STUDENT_DELETED else [])


async def test_essays_are_unknowns_and_the_events_say_so(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        before = [one.message for one in await there.stores.published()]
        await erase(migrated_database, of_student(there.student))
        unknown = await unknown_of(migrated_database, there.class_id)
        of_gone = await unknown_of(migrated_database, there.gone_class)
        given = {"human": unknown, "clock": unknown, "gone": of_gone, "past": there.mate}
        for what, student_id in given.items():
            [row] = await fetch(migrated_database, DECIDED, there.essays[what])
            assert (row["student_id"], row["method"]) == (student_id, Method.HUMAN)
        [pending] = await fetch(migrated_database, DECIDED, there.essays["pending"])
        assert tuple(pending) == (None, None, None)
        published = await there.stores.published()
        told = {
            UUID(one.data["essay_id"]): UUID(one.data["student_id"])
            for one in published
            if one.topic == topics.ASSOCIATION_UPDATED
        }
        assert told == {there.essays[w]: given[w] for w in ("human", "clock", "gone")}
        [deleted] = [one for one in published if one.topic == topics.STUDENT_DELETED]
        assert UUID(deleted.data["student_id"]) == there.student
        assert before


async def test_waiting_events_go_out_as_they_were_but_for_names(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        statement = "select id, topic, key, value, headers from outbox order by id"
        before = await fetch(migrated_database, statement)
        await erase(migrated_database, of_student(there.student))
        after = {row["id"]: row for row in await fetch(migrated_database, statement)}
        changed = 0
        for row in before:
            same = after[row["id"]]
            kept = ("topic", "key", "headers")
            assert [same[name] for name in kept] == [row[name] for name in kept]
            was, now = orjson.loads(row["value"]), orjson.loads(same["value"])
            assert was["event_id"] == now["event_id"]
            changed += was != now
        assert changed
        for one in await there.stores.published():
            assert_as_modelled(one)


def assert_as_modelled(one: Published) -> None:
    if one.topic != topics.TIMERS:
        m = one.message
        assert faults_of_message(m.topic, m.key, m.value, m.headers) == []


async def test_others_keep_everything(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        statement = "select to_jsonb(s) as row from students as s where id = any($1)"
        others = [there.mate, there.namesake]
        before = await fetch(migrated_database, statement, others)
        await erase(migrated_database, of_student(there.student))
        assert await fetch(migrated_database, statement, others) == before
        [row] = await fetch(
            migrated_database,
            "select suggestions, suggested_student_id from associations where essay_id = $1",
            there.essays["other"],
        )
    assert row["suggested_student_id"] == there.mate
    assert [s["student_id"] for s in orjson.loads(row["suggestions"])] == [str(there.mate)]


async def test_a_second_erasing_finds_nothing(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        await erase(migrated_database, of_student(there.student))
        with pytest.raises(NothingStoredError):
            await erase(migrated_database, of_student(there.student))
        assert "students" not in await exported(migrated_database, of_student(there.student))


async def test_who_was_deleted_before_is_erased_from_what_remembers(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        await there.stores.classes.delete_student(there.teacher, there.student)
        await erase(migrated_database, of_student(there.student))
        assert await left(migrated_database) == TOLD


async def test_who_was_merged_into_her_is_erased_with_her(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        classes, teacher = there.stores.classes, traced(TEACHER)
        twin = await make_student(
            there.stores, teacher, new_student("Zxqtwn", "Ohglkj", "z@y.example")
        )
        await classes.merge_students(traced(TEACHER), twin.id, there.student)
        await there.stores.published()
        other = await make_student(there.stores, teacher, new_student("Other", "Gonewithoutit"))
        await classes.delete_student(traced(TEACHER), other.id)
        await there.stores.published()
        await erase(migrated_database, of_student(there.student))
        assert await found(migrated_database, "Zxqtwn") == set()
        assert await found(migrated_database, "Gonewithoutit")


class KilledError(Exception):
    """The run ends here."""


@pytest.mark.parametrize("subject", ["student", "user"])
async def test_killed_after_any_portion_and_run_again_it_ends_the_same(
    migrated_database: str, subject: str
) -> None:
    async with world(migrated_database) as there:
        chosen = of_student(there.student) if subject == "student" else USER
        kills = 0
        while not await killed(migrated_database, chosen):
            kills += 1
            assert kills < 100
            await there.stores.published()
        await there.stores.published()
        assert kills > 5
        marks = () if subject == "student" else (TEACHER,)
        assert await left(migrated_database, *marks) == set()
        [row] = await fetch(migrated_database, "select * from erasures")
        assert row["finished_at"]
        assert (row["names"], row["essays"], row["owner_id"]) == (None, None, None)


async def killed(dsn: str, subject: Subject) -> bool:
    """Erase until the first row; return whether it came to the end."""

    def kill(_table: str, rows: int) -> None:
        if rows:
            raise KilledError

    async with privacy(dsn) as store:
        try:
            report = await store.erase(subject, kill, 0)
        except KilledError:
            return False
    return not report.unfinished


async def test_one_run_at_a_time(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        subject = of_student(there.student)
        async with privacy(migrated_database) as store, guarded(store._database, subject):
            with pytest.raises(BeingErasedError):
                await erase(migrated_database, subject)
            assert "students.first_name" in await left(migrated_database)
        assert (await erase(migrated_database, subject)).finished_at


async def test_the_unknown_student_is_nobodys(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        await erase(migrated_database, of_student(there.student))
        unknown = await unknown_of(migrated_database, there.class_id)
        with pytest.raises(PlaceholderError):
            await erase(migrated_database, of_student(unknown))


async def test_whom_nobody_knows_is_no_work(migrated_database: str) -> None:
    for subject in (of_student(new_id()), Subject(Kind.USER, "nobody-knows")):
        with pytest.raises(NothingStoredError):
            await erase(migrated_database, subject)


async def test_a_user_leaves_no_id_no_name_and_no_class(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        relay = asyncio.create_task(relaying(there))
        report = await erase(migrated_database, USER)
        relay.cancel()
        assert report.unfinished == ()
        assert await left(migrated_database, TEACHER, "ghjty") == set()
        [row] = await fetch(migrated_database, DECIDED, there.essays["human"])
        assert row["student_id"] == await unknown_of(migrated_database, there.class_id)
        assert row["validated_by"] == report.erasure.pseudonym
        open_batches = "select count(*) from batches where closed_at is null"
        assert (await fetch(migrated_database, open_batches))[0][0] == 0


async def relaying(there: World) -> None:
    while True:
        await there.stores.published()
        await asyncio.sleep(0.05)


async def test_a_users_deletions_are_published_before_it_is_finished(
    migrated_database: str,
) -> None:
    async with world(migrated_database) as there:
        report = await erase(migrated_database, USER, patience=0)
        assert report.unfinished == ("the outbox is not published",)
        published = await there.stores.published(topics.CLASS_DELETED, topics.STUDENT_DELETED)
        ids = {one.data.get("student_id") for one in published} - {None}
        assert ids == {str(there.student), str(there.mate)}
        assert (await erase(migrated_database, USER, patience=0)).finished_at
        assert await found(migrated_database, TEACHER) == set()


async def test_others_of_a_user_keep_everything(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        statement = "select to_jsonb(s) as row from students as s where id = $1"
        before = await fetch(migrated_database, statement, there.namesake)
        await erase(migrated_database, USER, patience=0)
        assert await fetch(migrated_database, statement, there.namesake) == before


async def test_a_students_export_has_it_and_nobody_else(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        rows = await exported(migrated_database, of_student(there.student))
    [student] = rows["students"]
    assert student["legal_full_name"].startswith(MARKS[0])
    assert {essay["essay_id"] for essay in rows["associations"]} == {
        str(essay) for essay in there.essays.values()
    }
    text = orjson.dumps(rows).decode()
    assert "Mattsson" not in text
    for table in (
        *("changes", "idempotency_keys", "outbox_packs", "parked", "outbox_set_aside"),
        *("import_rows", "import_marks", "imports"),
    ):
        assert MARKS[0] in orjson.dumps(rows[table]).decode(), table


async def test_a_users_export_has_what_is_declared(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        rows = await exported(migrated_database, USER)
        await there.stores.published()
    personal = {name for name, table in TABLES.items() if table.is_personal}
    # No class comes from an import here.
    assert rows.keys() == personal - {"erasures", "import_class_marks"}
    assert {s["id"] for s in rows["students"]} >= {str(there.student), str(there.mate)}
    assert "Namesake" not in orjson.dumps(rows).decode()


async def test_what_is_under_way_when_it_begins_is_waited_for(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        async with connected(migrated_database) as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("update cursor_keys set key = key")
            report = await erase(migrated_database, of_student(there.student), patience=0.5)
            assert report.unfinished == ("a transaction that began before it goes on",)
            await transaction.rollback()
        assert (await erase(migrated_database, of_student(there.student))).finished_at


async def test_a_plan_about_her_is_none_any_more_and_a_namesakes_row_stays(
    migrated_database: str,
) -> None:
    async with world(migrated_database) as there:
        statement = "select before, after, notices from import_rows where student_id = $1"
        statement += " order by number"
        await plan(migrated_database, there.class_id, there.mate, 9, NAME_JSON)
        before = await fetch(migrated_database, statement, there.mate)
        await erase(migrated_database, of_student(there.student))
        after = await fetch(migrated_database, statement, there.mate)
        assert [row["after"] for row in after] == [row["after"] for row in before]
        [row] = await fetch(migrated_database, "select expires_at <= now() as over from imports")
        assert row["over"]


async def test_a_plan_that_would_make_her_anew_is_none_any_more(migrated_database: str) -> None:
    """The student of such a row has an id of its own, which is nobody's yet."""
    async with world(migrated_database) as there:
        await plan(migrated_database, there.class_id, new_id(), 9, NAME_JSON)
        await erase(migrated_database, of_student(there.student))
        [row] = await fetch(migrated_database, "select after from import_rows where number = 9")
        assert orjson.loads(row["after"]) == dict.fromkeys(NAME_JSON, "")
        [row] = await fetch(migrated_database, "select expires_at <= now() as over from imports")
        assert row["over"]


async def test_what_is_just_applied_stays_as_it_is(migrated_database: str) -> None:
    """A student whom it makes anew is one who can be erased."""
    async with world(migrated_database) as there:
        await plan(migrated_database, there.class_id, new_id(), 9, NAME_JSON)
        await fetch(migrated_database, "update imports set state = 'applying'")
        await erase(migrated_database, of_student(there.student))
        [row] = await fetch(migrated_database, "select after from import_rows where number = 9")
        assert orjson.loads(row["after"]) == NAME_JSON


@pytest.mark.parametrize("subject", ["student", "user"])
async def test_the_feed_has_no_hole_and_tells_the_deletions(
    migrated_database: str, subject: str
) -> None:
    async with world(migrated_database) as there:
        before = await told(there)
        chosen = of_student(there.student) if subject == "student" else USER
        await erase(migrated_database, chosen, patience=0)
        await there.stores.published()
        await erase_again(migrated_database, chosen)
        await there.stores.feed.number()
        after = await told(there)
    assert [one.sequence for one in after] == list(range(1, len(after) + 1))
    kinds = [(one.change.entity, one.change.id, one.change.kind) for one in after]
    assert kinds[: len(before)] == [(o.change.entity, o.change.id, o.change.kind) for o in before]
    assert (Entity.STUDENT, there.student, ChangeKind.DELETED) in kinds
    changes = [(one.change.owner_id, one.change.by, one.change.before) for one in after]
    assert [mark for mark in MARKS if mark in str((changes, [o.change.after for o in after]))] == []


async def told(there: World) -> Sequence[ToldChange]:
    return (await there.stores.feed.changes(FeedQuery(1000))).changes


async def erase_again(dsn: str, subject: Subject) -> None:
    with contextlib.suppress(NothingStoredError):
        await erase(dsn, subject, patience=0)


async def test_beside_a_teacher_who_goes_on_with_her(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        busy = [asyncio.create_task(going_on(there, work)) for work in WORK]
        report = await erase(migrated_database, of_student(there.student))
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        assert report.unfinished == ()
        assert await left(migrated_database) <= TOLD
        statement = "select count(*) from associations where suggestions @> $1"
        text = orjson.dumps([{"student_id": str(there.student)}]).decode()
        assert (await fetch(migrated_database, statement, text))[0][0] == 0


async def renames(there: World) -> None:
    for name in (NAME, FORMER_NAME):
        change = StudentChange(name=name)
        record = await there.stores.classes.update_student(traced(TEACHER), there.student, change)
        key = KeyedRequest(TEACHER, str(new_id()), b"digest")
        kept = KeptAnswer(200, {}, to_json(student_json(record)))
        await there.stores.idempotency.once(key, partial(answered, kept))


async def answered(kept: KeptAnswer) -> KeptAnswer:
    return kept


async def suggests(there: World) -> None:
    # Without her name: what is sent after the erasing has what its sender gives it.
    found = result(suggest(there.student), filename="essay.txt")
    other = result(suggest(there.mate), suggest(there.student))
    delivery = deliver(there.class_id, found, other)
    await store_one(there.stores, delivery)
    decided = HumanDecision(found.essay_id, confirmed=True)
    batch_id = delivery.message.batch_id
    await there.stores.associations.confirm(traced(TEACHER), batch_id, [decided])


WORK: Final = (renames, suggests, suggests)


async def going_on(there: World, work: Callable[[World], Awaitable[None]]) -> None:
    while True:
        with contextlib.suppress(ServiceError):
            await work(there)
        await asyncio.sleep(0.01)


async def test_a_new_student_of_the_user_does_not_stay(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        made: list[UUID] = []

        async def make() -> None:
            student = new_student("Late", "Comer")
            made.append((await make_student(there.stores, traced(TEACHER), student)).id)

        tasks: list[asyncio.Task[None]] = []

        def told(table: str, _rows: int) -> None:
            if table == "classes" and not tasks:
                tasks.append(asyncio.create_task(make()))

        async with privacy(migrated_database, Policy()) as store:
            await store.erase(USER, told, 2)
        await tasks[0]
        statement = "select id from students where id = any($1)"
        assert await fetch(migrated_database, statement, made) == []
