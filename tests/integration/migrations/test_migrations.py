"""The schema goes up, down and up again, also where there is data in it."""

import asyncio
import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import migrations
from devstack.ports import free_port
from devstack.rig.database import connected
from devstack.worker import COMMAND
from migrations import HEAD, runner
from migrations.revision import current
from rules import topics
from rules.courses import COURSES
from rules.timeouts import unknown_student_email
from store.postgres.email_keys import PostgresEmailKeys
from store.postgres.placeholders import PostgresPlaceholders
from store.protocols.email_keys import Lacking, WithoutKey
from tests.support.command_line import SECONDS, environ, run
from tests.support.stores import opened

Schema = set[tuple[str, ...]]

FILL = """
insert into classes (id, owner_id, name, course_code)
    select gen_random_uuid(), 'teacher ' || n % 10, 'class ' || n, 'SV1'
    from generate_series(1, 1000) as n;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
    select gen_random_uuid(), 'teacher ' || n % 10, 'F', 'L' || n, 'F L' || n, n || '@x.example'
    from generate_series(1, 1000) as n;
insert into enrollments (class_id, student_id, owner_id)
    select classes.id, students.id, classes.owner_id
    from classes join students using (owner_id);
insert into batches (id, class_id, correlation_id)
    select gen_random_uuid(), id, gen_random_uuid() from classes;
insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by)
    select gen_random_uuid(), id, 0, '{}', 'pending_validation', now() from batches;
insert into inbox (id) select gen_random_uuid() from generate_series(1, 1000);
insert into outbox (shard, topic, headers) select n % 16, 'topic', '[]'
    from generate_series(1, 1000) as n;
insert into outbox_set_aside (shard, id, topic, headers, created_at, reason)
    select n % 16, 10000000 + n, 'topic', '[]', now(), 'too_large'
    from generate_series(1, 100) as n;
insert into workers (worker, url, partitions, version, role, started_at)
    select 'worker ' || n, 'http://127.0.0.1:5002', '{0, 1}', '1', 'all', now()
    from generate_series(1, 10) as n;
insert into consumer_progress (consumer_group, topic, partition, next_offset)
    select 'group', 'topic', n, n from generate_series(1, 8) as n;
insert into dead_letter_decisions (letter, address, decision, replay_id)
    select gen_random_uuid(), 'x.dlt/0/' || n, 'replayed', gen_random_uuid()
    from generate_series(1, 10) as n;
"""

SCHEMA = """
select 'column', table_name, column_name, data_type || is_nullable || coalesce(column_default, '')
from information_schema.columns where table_schema = 'public'
union all
select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
"""


async def schema_of(connection: "asyncpg.Connection[asyncpg.Record]") -> Schema:
    return {tuple(row) for row in await connection.fetch(SCHEMA)}


#: As the foreign keys of `enrollments` check what they refer to.
CHECK = "explain select 1 from only {} x where id = '{}' and owner_id = 't' for key share"


@pytest.mark.parametrize("table", ["classes", "students"])
async def test_enrolments_are_checked_one_by_one_on_tables_that_nobody_has_analyzed(
    table: str, empty_database: str
) -> None:
    """By another index each would be looked for among all of its owner's."""
    await runner.upgrade(empty_database)
    async with connected(empty_database) as connection:
        plan = await connection.fetch(CHECK.format(table, UUID(int=1)))
    assert any(f"using {table}_id_owner" in line for (line,) in plan), plan


async def test_up_down_and_up_again_on_filled_tables(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    async with connected(empty_database) as connection:
        first = await schema_of(connection)
        await connection.execute(FILL)
        await runner.downgrade(empty_database, "base")
        assert await current(empty_database) is None
        left = {row[1] for row in await schema_of(connection)}
        assert left == {"alembic_version"}
        await runner.upgrade(empty_database)
        assert await schema_of(connection) == first
        await connection.execute(FILL)


async def test_what_is_set_aside_is_back_in_the_outbox_after_going_down(
    empty_database: str,
) -> None:
    await runner.upgrade(empty_database)
    async with connected(empty_database) as connection:
        await connection.execute(FILL)
        before = await connection.fetch("select id from outbox_set_aside order by id")
        await runner.downgrade(empty_database, "0005")
        back = await connection.fetch("select id from outbox where id > 10000000 order by id")
        assert (back, len(back)) == (before, 100)
        # What is written from now on comes after it.
        await runner.upgrade(empty_database)
        assert await connection.fetchval("select count(*) from outbox") == 1100


#: The former version: UNKNOWN as it was made, renamed ones, and a pupil with such an address.
FORMER = """
insert into classes (id, owner_id, name, course_code)
    select md5('c' || n)::uuid, 'a', '7A', 'SV1' from generate_series(1, 3) as n;
insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
    select md5('u' || n)::uuid, 'a', case n when 2 then 'Okänd' else 'UNKNOWN' end, 'STUDENT',
        case n when 2 then 'Okänd' else 'UNKNOWN' end || ' STUDENT',
        'unknown.' || md5('c' || n)::uuid || '@huleedu.system' from generate_series(1, 2) as n
    union all
    select md5('u3')::uuid, 'a', 'F', 'L', 'F L', 'Asa@skola.HuleEdu.system';
insert into enrollments (class_id, student_id, owner_id)
    select md5('c' || n)::uuid, md5('u' || n)::uuid, 'a' from generate_series(1, 3) as n;
insert into batches (id, class_id, correlation_id)
    select md5('b1')::uuid, md5('c1')::uuid, md5('b1')::uuid;
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
        status, confirm_by)
    select md5('e1')::uuid, md5('b1')::uuid, md5('u1')::uuid, 0.9, '{}', 'pending_validation',
        now() + interval '1 day';
"""

STUDENTS = """
select is_placeholder, first_name, email, version from students
order by id = md5('u1')::uuid desc, id = md5('u2')::uuid desc
"""


async def test_unknown_students_of_the_former_version_are_settled(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    await runner.downgrade(empty_database, "0006")
    async with connected(empty_database) as connection, opened(empty_database) as database:
        await connection.execute(FORMER)
        await runner.upgrade(empty_database)
        placeholders = PostgresPlaceholders(database)
        assert len((await placeholders.settle(None, 50)).freed) == 2
        assert len(await placeholders.withdraw(50)) == 1
        found = await connection.fetch(STUDENTS)
        address = unknown_student_email(await connection.fetchval("select md5('c1')::uuid"))
        assert [tuple(row) for row in found] == [
            (True, "UNKNOWN", address, 2),
            (False, "Okänd", None, 2),
            (False, "F", None, 2),
        ]
        told = await connection.fetch("select topic, key from outbox")
        renamed = await connection.fetch(
            "select id from students where not is_placeholder order by id"
        )
        assert {row["topic"] for row in told} == {topics.STUDENT_UPDATED}
        assert sorted(r["key"] for r in told) == [str(r["id"]).encode() for r in renamed]
        assert not await connection.fetchval(
            "select count(*) from associations where suggested_student_id is not null"
        )


async def test_upgrade_of_a_migrated_database_changes_nothing(migrated_database: str) -> None:
    await runner.upgrade(migrated_database)
    assert await current(migrated_database) == HEAD


def test_of_several_hosts_one_is_migrated(empty_database: str) -> None:
    away = f"127.0.0.1:{free_port()}"
    several = empty_database.replace("@", f"@{away},")
    for expected in (f"from nothing to {HEAD}", f"is at {HEAD} already"):
        done = run("migrate", DATABASE_URL=several)
        assert expected in done.stdout, done.stderr


async def test_a_database_that_takes_no_writes_is_not_migrated(empty_database: str) -> None:
    name = empty_database.rpartition("/")[2]
    async with connected(empty_database) as connection:
        await connection.execute(f"alter database {name} set default_transaction_read_only = on")
    done = await asyncio.to_thread(run, "migrate", DATABASE_URL=empty_database)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no server takes writes" in line


@pytest.mark.parametrize("options", [(), ("--down",), ("--down", "--yes")])
def test_an_unknown_revision_is_reported_in_one_line(
    migrated_database: str, options: tuple[str, ...]
) -> None:
    done = run("migrate", "9999", *options, DATABASE_URL=migrated_database)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("class-management: the database cannot be migrated")
    assert "9999" in line


async def test_a_revision_of_a_newer_version_is_reported_in_one_line(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    await execute(empty_database, "update alembic_version set version_num = '9999'")
    done = await asyncio.to_thread(run, "migrate", DATABASE_URL=empty_database)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "9999" in line


async def test_a_missing_privilege_is_reported_in_one_line(empty_database: str) -> None:
    await execute(
        empty_database,
        "drop role if exists guest; create role guest login password 'guest'",
    )
    host = empty_database.partition("@")[2]
    done = await asyncio.to_thread(run, "migrate", DATABASE_URL=f"postgresql://guest:guest@{host}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "permission denied" in line


async def test_going_down_says_what_it_drops_and_asks(empty_database: str) -> None:
    await runner.upgrade(empty_database)
    await execute(empty_database, FILL)
    await execute(
        empty_database, "update inbox set delivery = id where id in (select id from inbox limit 7)"
    )
    down = ("migrate", "--down", "0003")
    dropped = "table dead_letter_decisions with 10 rows", "column inbox.delivery with 7 values"

    nobody = await asyncio.to_thread(run, *down, DATABASE_URL=empty_database)
    assert nobody.returncode == 2
    (line,) = nobody.stderr.splitlines()
    assert all(words in line for words in (*dropped, "--yes"))

    refused = await asyncio.to_thread(on_a_terminal, *down, answer="n", DATABASE_URL=empty_database)
    assert refused.returncode == 1
    assert all(words in refused.stderr for words in dropped)
    assert await current(empty_database) == HEAD

    agreed = await asyncio.to_thread(on_a_terminal, *down, answer="y", DATABASE_URL=empty_database)
    assert agreed.returncode == 0
    assert await current(empty_database) == "0003"

    unasked = await asyncio.to_thread(
        run, "migrate", "--down", "base", "--yes", DATABASE_URL=empty_database
    )
    assert unasked.returncode == 0
    assert "table students with 1,000 rows" in unasked.stderr
    assert await current(empty_database) is None


async def test_migrations_side_by_side_wait_for_each_other(empty_database: str) -> None:
    done = await asyncio.gather(*(runner.upgrade(empty_database) for _ in range(4)))
    assert len(done) == 4
    assert await current(empty_database) == HEAD


async def test_who_waits_for_another_migration_says_so(empty_database: str) -> None:
    told = asyncio.Event()
    async with connected(empty_database) as holder:
        async with holder.transaction():
            await holder.execute(f"select pg_advisory_xact_lock({runner._LOCK})")
            waiting = asyncio.create_task(runner.upgrade(empty_database, on_wait=told.set))
            await told.wait()
            assert await current(empty_database) is None
        await waiting
    assert await current(empty_database) == HEAD


async def test_a_step_by_step_target_is_taken_once(empty_database: str) -> None:
    await runner.upgrade(empty_database, "+2")
    assert await current(empty_database) == "0002"
    await runner.downgrade(empty_database, "-1")
    assert await current(empty_database) == "0001"


async def execute(url: str, sql: str) -> None:
    async with connected(url) as connection:
        await connection.execute(sql)


def on_a_terminal(
    *arguments: str, answer: str, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command whose standard input is a terminal, and give it a line."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        return subprocess.run(
            [COMMAND, *arguments],
            env=environ(settings),
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    finally:
        os.close(ours)
        os.close(theirs)


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_head_is_the_newest_revision() -> None:
    assert scripts().get_heads() == [HEAD]


#: Which tables readers have to wait for, because of this transaction.
KEPT_FROM_READERS = """
select relation::regclass::text from pg_locks join pg_class on pg_class.oid = relation
where pid = pg_backend_pid() and mode = 'AccessExclusiveLock' and relkind = 'r'
"""


async def test_readers_do_not_wait_while_indexes_are_built(empty_database: str) -> None:
    await runner.upgrade(empty_database, "0007")
    async with connected(empty_database) as connection:
        await connection.execute(FILL)
        async with connection.transaction():
            for statement in scripts().get_revision("0008").module._UP:
                await connection.execute(statement)
            assert await connection.fetch(KEPT_FROM_READERS) == []


async def test_the_courses_are_those_of_the_rules(migrated_database: str) -> None:
    async with connected(migrated_database) as connection:
        rows = await connection.fetch("select code, name, language from courses")
    assert {tuple(row) for row in rows} == {(c.code, c.name, c.language) for c in COURSES.values()}


BATCH = "insert into batches (id, correlation_id, closed_at) values ($1, $1, now())"
ONE = "00000000-0000-4000-8000-000000000001"
TWO = "00000000-0000-4000-8000-000000000002"
ROWS = f"""
insert into classes (id, owner_id, name, course_code) values ('{ONE}', 'a', '7A', 'SV1');
insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
    values ('{ONE}', 'a', 'F', 'L', 'F L', 'åsa@x.example'), ('{TWO}', 'b', 'F', 'L', 'F L', null);
insert into batches (id, correlation_id, closed_at) values ('{ONE}', '{ONE}', now());
"""

REFUSED: Mapping[str, str] = {
    "an email twice, in another case": f"""
        insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
        values ('{ONE[:-1]}3', 'a', 'F', 'L', 'F L', 'ÅSA@X.example')""",
    "a student in a class of another owner": f"""
        insert into enrollments values ('{ONE}', '{TWO}', 'a')""",
    "a class without a course": "update classes set course_code = 'X'",
    "a class without a name": "update classes set name = ''",
    "a batch closed twice": "update batches set closed_at = now() + interval '1 s'",
    "a batch opened again": "update batches set closed_at = null",
    "an unknown state": f"""
        insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by)
        values ('{ONE}', '{ONE}', 0, '{{}}', 'maybe', now())""",
    "a decision by nobody": f"""
        insert into associations (essay_id, batch_id, confidence, match_reasons, status, method,
            confirm_by)
        values ('{ONE}', '{ONE}', 0, '{{}}', 'confirmed', 'human', now())""",
    "progress before the beginning": """
        insert into consumer_progress (consumer_group, topic, partition, next_offset)
        values ('group', 'topic', 0, -1)""",
    "a decision that nobody knows": f"""
        insert into dead_letter_decisions (letter, address, decision) values ('{ONE}', 'a', 'x')""",
    "a replay without an id": f"""
        insert into dead_letter_decisions (letter, address, decision)
        values ('{ONE}', 'a', 'replayed')""",
    "a dropped letter that came to something": f"""
        insert into dead_letter_decisions (letter, address, decision, outcome, outcome_at)
        values ('{ONE}', 'a', 'dropped', 'stored', now())""",
    "a confidence above 1": f"""
        insert into associations (essay_id, batch_id, confidence, match_reasons, status, confirm_by)
        values ('{ONE}', '{ONE}', 1.1, '{{}}', 'pending_validation', now())""",
}


@pytest.mark.parametrize("fault", REFUSED)
async def test_the_database_itself_refuses(migrated_database: str, fault: str) -> None:
    async with connected(migrated_database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(ROWS)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(REFUSED[fault])
        await transaction.rollback()


async def test_what_people_have_stored_does_not_stop_an_upgrade(empty_database: str) -> None:
    """Addresses that collide, and names that would be refused today."""
    await runner.upgrade(empty_database, "0006")
    await execute(
        empty_database,
        """
        insert into students (id, owner_id, first_name, last_name, legal_full_name, email) values
            (md5('1')::uuid, 'teacher', E' \\u202e', E'\\u200b', ' ', 'strauß@skola.example'),
            (md5('2')::uuid, 'teacher', ' ', ' ', ' ', 'STRAUSS@skola.example'),
            (md5('3')::uuid, 'teacher', 'F', 'L', 'F L', 'a@bücher.example'),
            (md5('4')::uuid, 'teacher', 'F', 'L', 'F L', 'a@xn--bcher-kva.example'),
            (md5('5')::uuid, 'teacher', 'F', 'L', 'F L', 'never an address @ all'),
            (md5('6')::uuid, 'teacher', 'F', 'L', 'F L', null)
        """,
    )
    await runner.upgrade(empty_database)
    async with opened(empty_database) as database:
        keys = PostgresEmailKeys(database)
        assert await keys.count() == WithoutKey(unkeyed=5, colliding=0)
        assert await keys.fill(Lacking.UNKEYED, UUID(int=0), 100) is None
        assert await keys.count() == WithoutKey(unkeyed=0, colliding=2)
        assert [len(found.students) for found in await keys.collisions()] == [2, 2]
