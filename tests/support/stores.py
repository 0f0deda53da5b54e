"""Both kinds of store, opened empty."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias

import pytest

from devstack.rig.waiting import until
from rules.models import Policy
from store.memory.associations import MemoryAssociationRepository
from store.memory.classes import MemoryClassRepository
from store.memory.commands import MemoryCommandRepository
from store.memory.dead_letters import MemoryDeadLetters
from store.memory.email_keys import MemoryEmailKeys
from store.memory.feed import MemoryFeed
from store.memory.idempotency import MemoryIdempotency
from store.memory.imports import MemoryImports
from store.memory.inbox import MemoryInbox
from store.memory.maintenance import MemoryMaintenance
from store.memory.open_batches import MemoryOpenBatches
from store.memory.outbox import MemoryOutbox
from store.memory.overview import MemoryOverview
from store.memory.placeholders import MemoryPlaceholders
from store.memory.progress import MemoryProgress
from store.memory.queries import MemoryQueries
from store.memory.set_aside import MemorySetAside
from store.memory.state import MemoryStore
from store.memory.stories import MemoryStories
from store.memory.timers import MemoryTimers
from store.memory.workers import MemoryWorkerRegistry
from store.postgres.associations import PostgresAssociationRepository
from store.postgres.classes import PostgresClassRepository
from store.postgres.commands import PostgresCommandRepository
from store.postgres.database import Database, PoolConfig
from store.postgres.dead_letters import PostgresDeadLetters
from store.postgres.email_keys import PostgresEmailKeys
from store.postgres.feed import PostgresFeed
from store.postgres.idempotency import PostgresIdempotency
from store.postgres.imports import PostgresImports
from store.postgres.inbox import PostgresInbox
from store.postgres.maintenance import PostgresMaintenance
from store.postgres.open_batches import PostgresOpenBatches
from store.postgres.outbox import PostgresOutbox
from store.postgres.overview import PostgresOverview
from store.postgres.placeholders import PostgresPlaceholders
from store.postgres.progress import PostgresProgress
from store.postgres.queries import PostgresQueries
from store.postgres.set_aside import PostgresSetAside
from store.postgres.stories import PostgresStories
from store.postgres.timers import PostgresTimers
from store.postgres.workers import PostgresWorkerRegistry
from tests.integration.store.builders import Stores
from tests.support.past import MemoryPast, PostgresPast
from tests.support.rosters import MemoryRosters, PostgresRosters

Elapse: TypeAlias = Callable[[timedelta], Awaitable[None]]
OpenStores: TypeAlias = Callable[[Policy], AbstractAsyncContextManager[Stores]]

#: Deleting what a test leaves takes a hundredth of the time of truncating so many tables.
EMPTY = """
delete from erasures;
delete from dead_letter_decisions;
delete from consumer_progress;
delete from workers;
delete from outbox_packs;
delete from outbox_set_aside;
delete from parked;
delete from idempotency_keys;
delete from inbox;
delete from imports;
delete from association_history;
delete from associations;
delete from batches;
delete from deleted_classes;
delete from enrollments;
delete from students;
delete from classes;
delete from changes;
delete from feed;
update feed_state set epoch = gen_random_uuid(), sequence = 0, floor = 0, position = 0,
    first_id = 0, done = pg_current_snapshot(), target = null, relation = null, system = null,
    timeline = null;
select setval(id, 1, false) from unnest('{parked_id_seq,outbox_id_seq,changes_ids}'::regclass[]) id
"""

WAITS = """
select exists (
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
)
"""

# Time passes by what happened, and what is to happen, moving back.
ELAPSE = (
    "update classes set created_at = created_at - $1::interval, updated_at = updated_at - $1",
    "update students set created_at = created_at - $1::interval, updated_at = updated_at - $1",
    "update batches set created_at = created_at - $1::interval",
    """
    update associations set created_at = created_at - $1::interval, confirm_by = confirm_by - $1,
        validated_at = validated_at - $1
    """,
    "update association_history set validated_at = validated_at - $1::interval",
    "update deleted_classes set deleted_at = deleted_at - $1::interval",
    "update parked set next_try_at = next_try_at - $1::interval, deadline = deadline - $1",
    "update idempotency_keys set at = at - $1::interval",
    """
    update imports set created_at = created_at - $1::interval, expires_at = expires_at - $1,
        ended_at = ended_at - $1, next_at = next_at - $1
    """,
    "update inbox set handled_at = handled_at - $1::interval",
    "update outbox_packs set created_at = created_at - $1::interval",
    "update outbox_set_aside set set_aside_at = set_aside_at - $1::interval",
    "update workers set seen_at = seen_at - $1::interval",
    "update dead_letter_decisions set decided_at = decided_at - $1::interval",
)


def opener(request: pytest.FixtureRequest) -> OpenStores:
    """Say how the store is opened that a parametrised fixture asks for: memory or postgres."""
    if request.param == "memory":
        return memory_stores
    return partial(postgres_stores, request.getfixturevalue("migrated_database"))


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def elapse(self, time: timedelta) -> None:
        self.time += time


def memory_parts(store: MemoryStore, elapse: Elapse) -> Stores:
    """Return the protocols of an in-memory store."""
    return Stores(
        classes=MemoryClassRepository(store),
        associations=MemoryAssociationRepository(store),
        idempotency=MemoryIdempotency(store),
        imports=MemoryImports(store),
        inbox=MemoryInbox(store),
        timers=MemoryTimers(store),
        open_batches=MemoryOpenBatches(store),
        queries=MemoryQueries(store),
        outbox=MemoryOutbox(store),
        set_aside=MemorySetAside(store),
        stories=MemoryStories(store),
        overview=MemoryOverview(store),
        maintenance=MemoryMaintenance(store),
        workers=MemoryWorkerRegistry(store),
        placeholders=MemoryPlaceholders(store),
        progress=MemoryProgress(store),
        commands=MemoryCommandRepository(store),
        dead_letters=MemoryDeadLetters(store),
        email_keys=MemoryEmailKeys(),
        feed=MemoryFeed(store),
        rosters=MemoryRosters(store),
        past=MemoryPast(store),
        elapse=elapse,
        blocked=lambda: asyncio.sleep(0),  # it runs until it has to wait
    )


@asynccontextmanager
async def memory_stores(policy: Policy, *, changes: bool = True) -> AsyncIterator[Stores]:
    clock = Clock()
    yield memory_parts(MemoryStore(policy, clock.now, keeps_changes=changes), clock.elapse)


@asynccontextmanager
async def opened(
    dsn: str,
    max_size: int = 10,
    *,
    acquire_timeout: float = 30,
    command_timeout: float = 30,
    changes: bool = True,
) -> AsyncIterator[Database]:
    """Open the pool of a worker for the length of the context."""
    config = PoolConfig(dsn, 1, max_size, acquire_timeout, command_timeout, changes=changes)
    database = Database(config)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def postgres_stores(
    dsn: str, policy: Policy, *, changes: bool = True
) -> AsyncIterator[Stores]:
    async with opened(dsn, changes=changes) as database:
        async with database.acquire() as connection:
            await connection.execute(EMPTY)
        yield postgres_parts(database, policy)


def postgres_parts(database: Database, policy: Policy) -> Stores:
    """Return the protocols of a store in PostgreSQL."""

    async def elapse(time: timedelta) -> None:
        async with database.acquire() as connection, connection.transaction():
            for statement in ELAPSE:
                await connection.execute(statement, time)

    async def blocked() -> None:
        async with database.acquire() as connection:
            await until("something that waits for a lock", lambda: connection.fetchval(WAITS))

    return Stores(
        classes=PostgresClassRepository(database, policy),
        associations=PostgresAssociationRepository(database, policy),
        idempotency=PostgresIdempotency(database),
        imports=PostgresImports(database),
        inbox=PostgresInbox(database, policy),
        timers=PostgresTimers(database, policy),
        open_batches=PostgresOpenBatches(database, policy),
        queries=PostgresQueries(database),
        outbox=PostgresOutbox(database),
        set_aside=PostgresSetAside(database),
        stories=PostgresStories(database),
        overview=PostgresOverview(database, policy),
        maintenance=PostgresMaintenance(database),
        workers=PostgresWorkerRegistry(database),
        placeholders=PostgresPlaceholders(database),
        progress=PostgresProgress(database),
        commands=PostgresCommandRepository(database, policy),
        dead_letters=PostgresDeadLetters(database),
        email_keys=PostgresEmailKeys(database),
        feed=PostgresFeed(database),
        rosters=PostgresRosters(database),
        past=PostgresPast(database),
        elapse=elapse,
        blocked=blocked,
    )
