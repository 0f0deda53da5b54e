"""A process without a relay wakes the relay of another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from devstack.rig.database import connected
from devstack.rig.waiting import until
from rules.changes import NewClassRequest
from rules.errors import StoreUnavailableError
from rules.ids import new_id
from rules.models import NewClass, Policy
from store.postgres.classes import PostgresClassRepository
from store.postgres.outbox import PostgresOutbox
from tests.integration.store.builders import caller
from tests.support.stores import opened

#: Longer than any test may take: what returns sooner was woken.
FOR_EVER = 100.0
LISTENERS = "select count(*) from pg_stat_activity where query ilike 'listen%'"


@contextlib.asynccontextmanager
async def running(loop: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def listening(dsn: str) -> None:
    async with connected(dsn) as connection:
        await until("somebody to listen", lambda: connection.fetchval(LISTENERS))


async def test_a_commit_of_one_process_wakes_the_relay_of_another(migrated_database: str) -> None:
    async with opened(migrated_database) as web, opened(migrated_database) as stream:
        announcing = asyncio.create_task(PostgresOutbox(web).announce())
        listener = asyncio.create_task(PostgresOutbox(stream).listen())
        async with running(announcing), running(listener):
            await listening(migrated_database)
            waiting = asyncio.create_task(PostgresOutbox(stream).wait(FOR_EVER))
            new = NewClass(new_id(), "SV1 A", "SV1")
            await PostgresClassRepository(web, Policy()).create_classes(
                [NewClassRequest(caller(), new)]
            )
            await asyncio.wait_for(waiting, 30)


async def test_a_broken_connection_is_an_error_so_that_it_is_made_anew(
    migrated_database: str,
) -> None:
    async with opened(migrated_database) as stream:
        listener = asyncio.create_task(PostgresOutbox(stream).listen())
        await listening(migrated_database)
        async with connected(migrated_database) as killer:
            await killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'"
            )
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(listener, 30)
