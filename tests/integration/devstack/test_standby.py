import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.rig.database import connected
from devstack.standby import StandbyPostgres, url_of_all


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "primary") as server:
        server.execute("create table kept (number int)", server.database)
        yield server


@pytest.fixture
def standby(primary: EmbeddedPostgres, tmp_path: Path) -> Iterator[StandbyPostgres]:
    with StandbyPostgres(tmp_path / "standby", primary) as server:
        yield server


def test_what_a_synchronous_standby_acknowledged_is_there_after_a_failover(
    primary: EmbeddedPostgres, standby: StandbyPostgres
) -> None:
    standby.make_synchronous()
    for number in range(5):
        primary.execute(f"insert into kept values ({number})", primary.database)
    primary.kill()
    standby.promote()
    standby.execute("insert into kept values (5)", standby.database)
    assert standby.execute("select sum(number) from kept", standby.database) == "15"


async def test_one_address_leads_to_the_server_that_takes_writes(
    primary: EmbeddedPostgres, standby: StandbyPostgres
) -> None:
    url = url_of_all(primary, standby)
    standby.await_streaming()
    for taking_writes in (primary, standby):
        async with connected(url, connect_seconds=10) as connection:
            assert await connection.fetchval("show port") == str(taking_writes.port)
            await connection.execute("insert into kept values (1)")
        if taking_writes is primary:
            primary.kill()
            standby.promote()


async def test_without_its_synchronous_standby_a_commit_waits(
    primary: EmbeddedPostgres, standby: StandbyPostgres
) -> None:
    standby.make_synchronous()
    standby.kill()
    async with connected(primary.url, connect_seconds=5) as connection:
        insert = asyncio.create_task(connection.execute("insert into kept values (1)"))
        await asyncio.wait([insert], timeout=0.5)
        assert not insert.done()
        standby.start()
        await insert


async def test_a_standby_refuses_writes(standby: StandbyPostgres) -> None:
    async with connected(standby.url, connect_seconds=5) as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("insert into kept values (1)")
        standby.promote()
        await connection.execute("insert into kept values (1)")


async def test_open_sessions_of_a_demoted_server_become_read_only(
    primary: EmbeddedPostgres,
) -> None:
    async with connected(primary.url, connect_seconds=5) as connection:
        await connection.execute("insert into kept values (1)")
        primary.set_read_only()
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("insert into kept values (1)")
        primary.set_read_only(read_only=False)
        await connection.execute("insert into kept values (1)")


def test_the_old_primary_comes_back_as_the_standby_of_the_new_one(
    primary: EmbeddedPostgres, standby: StandbyPostgres, tmp_path: Path
) -> None:
    primary.kill()
    standby.promote()
    with StandbyPostgres(tmp_path / "again", standby, primary.port) as again:
        again.make_synchronous()
        standby.execute("insert into kept values (7)", standby.database)
        standby.kill()
        again.promote()
        assert again.execute("select number from kept", again.database) == "7"
