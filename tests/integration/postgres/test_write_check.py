"""Whether changes can be stored is known without writing, and the reason with it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devstack.rig.database import connected
from devstack.rig.waiting import until
from rules.errors import Cause, StoreUnavailableError
from store.client import Share
from store.postgres import sql, write_check
from store.postgres.database import Database, PoolConfig
from store.postgres.maintenance import PostgresMaintenance
from store.slots import divided
from tests.integration.postgres.test_failover import in_every_session, opened, write

WRITES = """
select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::integer from pg_stat_user_tables
"""
ASLEEP = "select pg_sleep(60)"
SLEEPERS = f"""
select count(*) from pg_stat_activity
where datname = current_database() and state = 'active' and query = '{ASLEEP}'
"""
#: As PostgreSQL answers when its disk is full.
FULL = """
create function no_room() returns trigger language plpgsql as $$ begin
    raise exception 'could not extend file: No space left on device' using errcode = '53100';
end $$;
create trigger no_room before insert on outbox_packs for each row execute function no_room();
"""


async def cause(maintenance: PostgresMaintenance) -> Cause | None:
    try:
        await maintenance.check()
    except StoreUnavailableError as error:
        return error.cause
    return None


async def statement(dsn: str, query: str) -> object:
    async with connected(dsn) as connection:
        return await connection.fetchval(query)


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    async with opened(migrated_database) as database:
        yield database


async def test_a_check_writes_nothing(database: Database, migrated_database: str) -> None:
    maintenance = PostgresMaintenance(database)
    await maintenance.check()
    before = await statement(migrated_database, WRITES)
    for _ in range(10):
        assert await cause(maintenance) is None
    await in_every_session(database, "select pg_stat_force_next_flush()")
    assert await statement(migrated_database, WRITES) == before


async def test_a_disk_that_is_full_is_known_until_a_row_fits_again(
    database: Database, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_check, "TRY_SECONDS", 0.0)
    maintenance = PostgresMaintenance(database)
    async with connected(migrated_database) as connection:
        await connection.execute(FULL)
        assert await cause(maintenance) is None
        with pytest.raises(StoreUnavailableError):
            await write(database)
        for _ in range(2):
            assert await cause(maintenance) is Cause.DISK_FULL
        await connection.execute("drop trigger no_room on outbox_packs; drop function no_room")
        assert await cause(maintenance) is None
        tried = "select count(*) from outbox_packs where octet_length(content) = $1"
        assert await connection.fetchval(tried, write_check.TRIED_BYTES) == 0


async def test_while_the_disk_is_full_it_is_tried_rarely(
    database: Database,
) -> None:
    maintenance = PostgresMaintenance(database)
    database.write_fault = Cause.DISK_FULL
    assert await cause(maintenance) is None
    database.write_fault = Cause.DISK_FULL
    assert await cause(maintenance) is Cause.DISK_FULL


async def test_a_missing_privilege_is_named_before_a_request_meets_it(
    migrated_database: str,
) -> None:
    async with connected(migrated_database) as connection:
        await connection.execute(
            """
            create role service login password 'x';
            grant select, insert, update, delete on all tables in schema public to service;
            grant usage on all sequences in schema public to service;
            """
        )
        account = migrated_database.partition("://")[2].partition("@")[0]
        try:
            async with opened(migrated_database.replace(account, "service:x")) as database:
                maintenance = PostgresMaintenance(database)
                assert await cause(maintenance) is None
                await connection.execute("revoke insert on classes from service")
                with pytest.raises(StoreUnavailableError, match="insert on classes") as refused:
                    await maintenance.check()
                assert refused.value.cause is Cause.ACCESS
                await connection.execute("grant insert on classes to service")
                assert await cause(maintenance) is None
                await connection.execute("revoke delete on parked from service")
                with pytest.raises(StoreUnavailableError):
                    await statement_of(database, "delete from parked")
                for _ in range(3):  # it does not come and go
                    assert await cause(maintenance) is Cause.ACCESS
                assert database.write_fault is None
        finally:
            await connection.execute("drop owned by service; drop role service")


async def statement_of(database: Database, query: str) -> None:
    async with database.acquire() as connection:
        await connection.execute(query)


async def test_what_was_opened_after_an_outage_began_outlives_it(
    database: Database, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance = PostgresMaintenance(database)
    await maintenance.check()
    before = asyncio.create_task(statement_of(database, ASLEEP))
    await until("it to have begun", lambda: statement(migrated_database, SLEEPERS))
    look = sql.sessions.WRITE_CHECK
    monkeypatch.setattr(sql.sessions, "WRITE_CHECK", f"{look} from pg_sleep(60)")
    monkeypatch.setattr(write_check, "ANSWER_SECONDS", 0.1)
    assert await cause(maintenance) is Cause.NO_ANSWER
    after = asyncio.create_task(statement_of(database, "select pg_sleep(1)"))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(write_check, "ANSWER_SECONDS", 10.0)
    # As another server: one with another start.
    monkeypatch.setattr(
        sql.sessions, "WRITE_CHECK", look.replace("pg_postmaster_start_time()", "now()")
    )
    assert await cause(maintenance) is None
    await after
    with pytest.raises(StoreUnavailableError):
        await asyncio.wait_for(before, 5)


async def test_a_pool_that_is_full_does_not_hide_the_database(migrated_database: str) -> None:
    config = PoolConfig(migrated_database, 1, 10, acquire_timeout=5, command_timeout=30)
    database = Database(config)
    maintenance = PostgresMaintenance(database)
    connections = [database.acquire() for _ in range(divided(10, streams=True)[Share.REQUESTS])]
    try:
        for connection in connections:
            await connection.__aenter__()
        with pytest.raises(StoreUnavailableError) as refused:
            await write(database)
        assert refused.value.cause is Cause.BUSY
        assert await cause(maintenance) is None
    finally:
        for connection in connections:
            await connection.__aexit__(None, None, None)
        await database.close()
