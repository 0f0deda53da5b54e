"""Sessions that cannot write any more are replaced, and the host that takes writes is found."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.outages import frozen
from devstack.rig.waiting import until
from devstack.standby import StandbyPostgres, url_of_all
from rules.changes import NewClassRequest
from rules.errors import StoreUnavailableError
from rules.ids import new_id
from rules.models import NewClass, Policy
from store.postgres import outbox, write_check
from store.postgres.classes import PostgresClassRepository
from store.postgres.database import Database
from store.postgres.maintenance import PostgresMaintenance
from tests.integration.store.builders import caller
from tests.support import stores
from tests.support.shared import copied

CONNECTIONS = 3
LISTENERS = "select pid from pg_stat_activity where query ~* '^(select|listen [^ ]+)$'"
SLEEP = "select pg_sleep(600)"
WAITING = f"select pid from pg_stat_activity where state = 'active' and query = '{SLEEP}'"
#: As a session behind a proxy, whose server has become a standby.
REFUSED = """
create function refuse() returns trigger language plpgsql as $$ begin
    raise exception 'read-only' using errcode = '25006';
end $$;
create trigger refuse before insert on classes for each row
when (pg_backend_pid() in ({pids})) execute function refuse()
"""


def opened(
    dsn: str, max_size: int = CONNECTIONS, command_timeout: float = 30
) -> AbstractAsyncContextManager[Database]:
    return stores.opened(dsn, max_size, acquire_timeout=10, command_timeout=command_timeout)


@pytest.fixture
def primary(postgres_data: Path, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    folder = copied(postgres_data, tmp_path / "primary")
    with EmbeddedPostgres(folder, settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path: Path) -> Iterator[StandbyPostgres]:
    with StandbyPostgres(tmp_path / "standby", primary, settings={"fsync": "off"}) as server:
        server.await_streaming()
        yield server


async def write(database: Database) -> None:
    new = NewClass(new_id(), "SV1 A", "SV1")
    (made,) = await PostgresClassRepository(database, Policy()).create_classes(
        [NewClassRequest(caller(), new)]
    )
    assert not isinstance(made, Exception)


async def pids(database: Database) -> set[int]:
    async def pid() -> int:
        async with database.acquire() as connection:
            found: int = await connection.fetchval("select pg_backend_pid() from pg_sleep(0.05)")
            return found

    return set(await asyncio.gather(*(pid() for _ in range(CONNECTIONS))))


async def in_every_session(database: Database, sql: str) -> None:
    async def one() -> None:
        async with database.acquire() as connection:
            await connection.execute(f"{sql}; select pg_sleep(0.1)")

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


async def test_a_session_that_became_read_only_is_not_lent_again(migrated_database: str) -> None:
    async with opened(migrated_database) as database:
        await write(database)
        before = await pids(database)
        await in_every_session(database, "set default_transaction_read_only = on")
        await write(database)
        assert await pids(database) & before == set()


async def test_a_write_that_is_refused_as_read_only_is_done_on_another_session(
    primary: EmbeddedPostgres,
) -> None:
    """A proxy may hide the settings of the server behind it; the refusal shows it."""
    async with opened(primary.url) as database:
        before = await pids(database)
        primary.execute(REFUSED.format(pids=",".join(map(str, before))), primary.database)
        await write(database)
        assert await pids(database) & before == set()


async def test_a_server_that_takes_no_writes_is_refused_and_found_again(
    primary: EmbeddedPostgres,
) -> None:
    async with opened(primary.url) as database:
        await write(database)
        primary.set_read_only()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError) as refused:
                await write(database)
            assert refused.value.cause == "read_only"
        primary.set_read_only(read_only=False)
        await write(database)


async def test_a_standby_alone_is_not_used(standby: StandbyPostgres) -> None:
    async with opened(standby.url) as database:
        with pytest.raises(StoreUnavailableError) as refused:
            await pids(database)
        assert refused.value.cause == "read_only"


async def test_writes_go_to_the_standby_that_took_over(
    primary: EmbeddedPostgres, standby: StandbyPostgres
) -> None:
    url = url_of_all(standby, primary).partition("?")[0]
    async with opened(url) as database:
        await write(database)
        primary.kill()
        standby.promote()

        async def again() -> bool:
            try:
                await write(database)
            except StoreUnavailableError:
                return False
            return True

        await until("a write on the new primary", again)


async def test_a_host_that_is_silent_does_not_hide_the_one_that_answers(
    migrated_database: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and nobody reads
        port = silent.getsockname()[1]
        async with opened(migrated_database.replace("@", f"@127.0.0.1:{port},")) as database:
            await write(database)


async def test_a_listener_leaves_a_session_that_became_read_only(
    primary: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "KEEP_ALIVE_SECONDS", 0.05)
    async with opened(primary.url) as database:
        listening = asyncio.create_task(outbox.PostgresOutbox(database).listen())
        await until("a listener", lambda: asyncio.to_thread(primary.execute, LISTENERS))
        primary.set_read_only()
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(listening, 10)


async def test_what_waits_for_a_host_that_is_gone_ends_once_another_took_over(
    primary: EmbeddedPostgres, standby: StandbyPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_check, "ANSWER_SECONDS", 0.5)
    for_ever = 600.0
    async with opened(url_of_all(primary, standby), 10, for_ever) as database:
        maintenance = PostgresMaintenance(database)

        async def works() -> bool:
            try:
                await maintenance.check()
            except StoreUnavailableError:
                return False
            return True

        async def wait() -> None:
            async with database.acquire() as connection:
                await connection.execute(SLEEP)

        assert await works()
        waiting = asyncio.create_task(wait())
        await until("it to wait there", lambda: asyncio.to_thread(primary.execute, WAITING))
        async with frozen(primary):  # as a machine that is gone: nothing comes back
            standby.promote()
            await until("the other server", works)
            with pytest.raises(StoreUnavailableError):
                await asyncio.wait_for(waiting, 20)
            await write(database)
