"""Everything but LISTEN works behind a pgbouncer that pools transactions."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.database import Database, connected
from devstack.rig.http import Teacher, no, yes
from devstack.rig.kafka import CONFIRMED, Topics
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import suggest
from migrations import HEAD, runner
from migrations.revision import current
from tests.support.command_line import Done, call
from tests.support.pgbouncer import PgBouncer

ADVISORY_LOCKS: Final = """
select count(*) from pg_locks join pg_database on database = pg_database.oid
where locktype = 'advisory' and datname = $1
"""


@pytest.fixture
def postgres(host: Host) -> EmbeddedPostgres:
    assert host.stack.postgres is not None
    return host.stack.postgres


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pgbouncer")


@pytest.fixture(scope="module")
def bouncers() -> Iterator[list[PgBouncer]]:
    """Keep the one that the first test starts, and stop it in the end."""
    started: list[PgBouncer] = []
    yield started
    for one in started:
        one.stop()


@pytest.fixture
def pgbouncer(postgres: EmbeddedPostgres, folder: Path, bouncers: list[PgBouncer]) -> PgBouncer:
    if not bouncers:
        bouncers.append(PgBouncer(postgres, folder))
        bouncers[0].start()
    return bouncers[0]


@pytest.fixture
def settings(pgbouncer: PgBouncer, postgres: EmbeddedPostgres) -> Mapping[str, str]:
    return {
        "DATABASE_URL": pgbouncer.url_of(postgres.database),
        "DATABASE_PGBOUNCER": "true",
        "SUGGESTION_RETRY_SECONDS": "5",
    }


@pytest.fixture
def empty(postgres: EmbeddedPostgres, pgbouncer: PgBouncer) -> Iterator[str]:
    """Give the name of a database without a schema, behind the pooler."""
    name = f"empty_{uuid4().hex}"
    postgres.create_database(name)
    yield name
    assert pgbouncer.pid is not None
    postgres.drop_database(name)


async def migrate(host: Host, url: str, *arguments: str) -> Done:
    own = {"CLASS_MANAGEMENT_SERVICE_DATABASE_URL": url}
    own["CLASS_MANAGEMENT_SERVICE_DATABASE_PGBOUNCER"] = "true"
    return await call("migrate", *arguments, environ=host.command_environ() | own)


async def held(database: Database, name: str) -> int:
    found: int = await database.value(ADVISORY_LOCKS, name)
    return found


async def test_migrations_leave_no_lock_behind_and_do_not_wait_for_it(
    host: Host, pgbouncer: PgBouncer, database: Database, empty: str
) -> None:
    url = pgbouncer.url_of(empty)
    for arguments in ((), ("--down", "0002", "--yes"), (), ("--down", "base", "--yes"), ()):
        async with asyncio.timeout(60):
            done = await migrate(host, url, *arguments)
        assert done.code == 0, done.err
        assert await held(database, empty) == 0
    assert await current(url) == HEAD


async def test_migrations_at_once_wait_for_each_other(
    pgbouncer: PgBouncer, database: Database, empty: str
) -> None:
    url = pgbouncer.url_of(empty)
    async with asyncio.timeout(60):
        await asyncio.gather(*(runner.upgrade(url) for _ in range(4)))
    assert await current(url) == HEAD
    assert await held(database, empty) == 0


async def test_revisions_are_read_while_connections_take_turns(
    pgbouncer: PgBouncer, postgres: EmbeddedPostgres
) -> None:
    url = pgbouncer.url_of(postgres.database)

    async def named() -> None:
        # What prepares statements by name leaves them on connections that others get then.
        async with connected(url) as connection:
            with suppress(asyncpg.PostgresError):  # as is to be expected
                await connection.fetchval("select to_regclass('alembic_version')")

    await asyncio.gather(*(named() for _ in range(10)))
    found = await asyncio.gather(*(current(url) for _ in range(40)))
    assert set(found) == {HEAD}


async def test_a_worker_creates_is_suggested_to_and_decides(
    service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(3)
    first, second, third = roster.student_ids
    batch = suggest(roster.class_id, [(first, 0.9)], [(second, 0.8)], [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=3)
    one, two, three = batch.essay_ids
    done = await teacher.confirm(batch.batch_id, yes(one), no(two), yes(three, third))
    assert done.json["status"] == "confirmed"
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["validation_summary"]["human"] == 3
    await topics.settle()
    assert [line for line in service.logged("database away, retrying") if line] == []


async def test_the_clock_decides_and_many_requests_take_turns(
    service: ServiceProcess, teacher: Teacher, topics: Topics, database: Database
) -> None:
    rosters = await asyncio.gather(*(teacher.new_roster(2) for _ in range(20)))
    batches = [suggest(one.class_id, [(one.student_ids[0], 0.9)]) for one in rosters]
    for batch in batches:
        await topics.suggest(batch)
    for batch in batches:
        await teacher.stored(batch.batch_id, essays=1)
        await database.elapse(batch.batch_id)
    for batch in batches:
        event = await topics.expect_one(CONFIRMED, batch.batch_id)
        assert event.data["timeout_triggered"] is True
    assert service.pid is not None
