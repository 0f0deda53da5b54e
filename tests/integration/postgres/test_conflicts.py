"""Transactions that others get in the way of, for longer than anybody would try."""

from collections.abc import AsyncIterator

import pytest

from rules.errors import DataRefusedError, ServiceError, StoreUnavailableError
from store.postgres.database import Connection, Database, PoolConfig

RAISE = "do $$ begin raise exception 'in the way' using errcode = '{}'; end $$"


@pytest.fixture
async def database(migrated_database: str) -> AsyncIterator[Database]:
    database = Database(PoolConfig(migrated_database, 1, 4, acquire_timeout=30, command_timeout=30))
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("40001", StoreUnavailableError),  # serialization_failure
        ("40P01", StoreUnavailableError),  # deadlock_detected
        ("23503", DataRefusedError),  # foreign_key_violation
        ("23505", DataRefusedError),  # unique_violation
    ],
)
async def test_only_data_is_given_up_for_good(
    database: Database, sqlstate: str, expected: type[ServiceError]
) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(RAISE.format(sqlstate))

    with pytest.raises(expected):
        await database.transact(work)
    assert tries > 1


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_a_read_that_others_get_in_the_way_of_is_no_defect(
    database: Database, sqlstate: str
) -> None:
    async def read() -> None:
        async with database.acquire() as connection:
            await connection.execute(RAISE.format(sqlstate))

    with pytest.raises(StoreUnavailableError):
        await read()
