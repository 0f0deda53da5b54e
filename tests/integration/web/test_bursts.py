"""A burst of one tenant takes neither the connections of others nor those of the loops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
import structlog
from structlog.testing import LogCapture

import web.unavailable
from agents.jobs.health import Probe
from devstack.rig.database import connected
from rules.errors import Cause
from rules.models import Policy
from store.client import Client, Share, working_as
from store.postgres.associations import PostgresAssociationRepository
from store.postgres.classes import PostgresClassRepository
from store.postgres.database import Database, PoolConfig
from store.postgres.feed import PostgresFeed
from store.postgres.idempotency import PostgresIdempotency
from store.postgres.imports import PostgresImports
from store.postgres.inbox import PostgresInbox
from store.postgres.maintenance import PostgresMaintenance
from store.postgres.queries import PostgresQueries
from store.postgres.timers import PostgresTimers
from store.slots import divided
from tests.integration.web.api import OTHER, Api, Reply, Setup, serving
from tests.integration.web.fakes import FakeBackend

Send: TypeAlias = Callable[[], Awaitable[Reply]]

POOL = 30
#: Not more than the client has connections.
BURST = 90
ACQUIRE_SECONDS = 3.0


@dataclass(frozen=True)
class Busy:
    """The API on a pool of the default size, which gives up soon."""

    api: Api
    database: Database
    dsn: str

    @asynccontextmanager
    async def locked(self, table: str, identity: str) -> AsyncIterator[None]:
        """Hold the lock of a row for which a change waits."""
        async with connected(self.dsn) as connection, connection.transaction():
            await connection.execute(f"select from {table} where id = $1 for update", identity)
            yield


@pytest.fixture
async def busy(migrated_database: str, tmp_path: Path) -> AsyncIterator[Busy]:
    config = PoolConfig(migrated_database, 4, POOL, ACQUIRE_SECONDS, command_timeout=30)
    database = Database(config)
    policy = Policy()
    store = FakeBackend(
        PostgresClassRepository(database, policy),
        PostgresAssociationRepository(database, policy),
        PostgresInbox(database, policy),
        PostgresTimers(database, policy),
        PostgresQueries(database),
        PostgresIdempotency(database),
        PostgresImports(database),
        PostgresFeed(database),
    )
    try:
        async with serving(Setup(store), tmp_path) as api:
            yield Busy(api, database, migrated_database)
    finally:
        await database.close()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    capture = LogCapture()
    monkeypatch.setattr(web.unavailable, "_log", structlog.wrap_logger(None, processors=[capture]))
    return capture


async def confirm(busy: Busy) -> tuple[str, str, Send]:
    """Return the row that a burst of confirmations waits for, and how one is sent."""
    batch_id, (essay_id,) = await busy.api.new_batch(await busy.api.new_class(), None)
    body = {"associations": [{"essay_id": essay_id, "confirmed": False}]}
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    return "batches", batch_id, lambda: busy.api.send("POST", path, body)


async def rename(busy: Busy) -> tuple[str, str, Send]:
    """Likewise for a burst of changes of one class."""
    class_id = await busy.api.new_class()
    return (
        "classes",
        class_id,
        lambda: busy.api.send("PUT", f"/v1/classes/{class_id}", {"name": "9B"}),
    )


@pytest.mark.parametrize("prepare", [confirm, rename])
async def test_a_burst_on_one_row_leaves_connections_to_everybody_else(
    busy: Busy, log: LogCapture, prepare: Callable[[Busy], Awaitable[tuple[str, str, Send]]]
) -> None:
    table, identity, send = await prepare(busy)
    async with busy.locked(table, identity):
        burst = [asyncio.ensure_future(send()) for _ in range(BURST)]
        (first, *_), _ = await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
        first.result().problem(503, "SERVICE_UNAVAILABLE")
        assert first.result().headers["Retry-After"] == "1"

        assert (await busy.api.get("/v1/classes", user=OTHER)).status == 200
        await busy.api.new_class(user=OTHER)
        for share in (Share.LOOPS, Share.MESSAGES):
            with working_as(Client(share)):
                assert isinstance(await PostgresTimers(busy.database, Policy()).overdue(1, 0), list)
        await PostgresMaintenance(busy.database).check()

    replies = await asyncio.gather(*burst)
    assert {reply.status for reply in replies} <= {200, 503}
    assert 200 in {reply.status for reply in replies}
    told = [(line["event"], line["cause"]) for line in log.entries]
    assert told == [("requests answered 503", Cause.BUSY)]
    counted = busy.api.setup.metrics.registry.get_sample_value
    refused = sum(reply.status == 503 for reply in replies)
    assert counted("class_management_unavailable_total", {"cause": "busy"}) == refused
    assert counted("class_management_unavailable_total", {"cause": "unreachable"}) == 0


async def test_a_full_pool_leaves_a_worker_ready(busy: Busy) -> None:
    probe = Probe(PostgresMaintenance(busy.database).check, "database")
    await probe._look()
    async with AsyncExitStack() as stack:
        for share, size in divided(POOL, streams=True).items():
            with working_as(Client(share)):
                for _ in range(size):
                    await stack.enter_async_context(busy.database.acquire())
        (await busy.api.get("/v1/classes")).problem(503, "SERVICE_UNAVAILABLE")
        await probe._look()
        assert probe.state() == "ok"
