"""Faults inside PostgreSQL: no room, no time, and locks."""

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

import asyncpg

from devstack.rig.database import connected
from faults.injectors.scene import Fault, Scene

#: One table: with two, PostgreSQL would end a deadlock with the service by aborting this lock.
LOCKED: Final = "lock table classes in access exclusive mode"
THROW_OUT: Final = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where application_name = 'class-management'
"""
SOME_BATCHES: Final = """
select id, class_id from batches where class_id is not null order by created_at desc limit 20
"""
LOOK_SECONDS: Final = 0.05

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def pool_exhausted(scene: Scene) -> int:
    """Block everything behind a lock, until the pools have no connection left."""
    async with beside(scene) as connection, connection.transaction():
        await connection.execute(LOCKED)
        await scene.hold(5, 15)
    return 1


async def no_connections(scene: Scene) -> int:
    """Terminate all connections of PostgreSQL, then occupy every one."""
    connections: list[Connection] = []
    try:
        async with beside(scene) as connection:
            await connection.execute(THROW_OUT)
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                while True:
                    connections.append(await asyncpg.connect(scene.rig.postgres.url))
        await scene.hold(5, 20)
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))
    return len(connections)


async def statement_timeout(scene: Scene) -> int:
    """Set a very short statement timeout."""
    return await _with_setting(scene, "statement_timeout", "5ms")


async def serializable(scene: Scene) -> int:
    """Make PostgreSQL refuse transactions that are not serializable."""
    return await _with_setting(scene, "default_transaction_isolation", "serializable")


async def deadlocks(scene: Scene) -> int:
    """Lock the service's rows in the opposite order, until PostgreSQL ends the deadlock."""
    clock = asyncio.get_running_loop().time
    end = clock() + scene.rng.uniform(10, 20) * scene.pace
    tries = 0
    async with beside(scene) as connection:
        while clock() < end:
            tries += 1
            await _lock_backwards(connection, scene)
            await asyncio.sleep(LOOK_SECONDS)
    return tries


async def _lock_backwards(connection: Connection, scene: Scene) -> None:
    """Lock batches before their class, and hold both for a moment."""
    found = await connection.fetch(SOME_BATCHES)
    if not found:
        return
    chosen = scene.rng.sample(found, min(5, len(found)))
    with contextlib.suppress(asyncpg.DeadlockDetectedError):
        async with connection.transaction():
            for row in chosen:
                await connection.execute("select from batches where id = $1 for update", row[0])
            await asyncio.sleep(LOOK_SECONDS)
            for row in chosen:
                await connection.execute("select from classes where id = $1 for update", row[1])


async def _with_setting(scene: Scene, name: str, value: str) -> int:
    """Make the service reconnect with a setting, for some time."""
    database = scene.rig.postgres.database
    async with beside(scene) as connection:
        await connection.execute(f"alter database \"{database}\" set {name} = '{value}'")
        try:
            thrown_out: int = await connection.fetchval(THROW_OUT)
            await scene.hold(10, 25)
        finally:
            await connection.execute("set statement_timeout = 0")
            await connection.execute(f'alter database "{database}" reset {name}')
            await connection.execute(THROW_OUT)
    return thrown_out


def beside(scene: Scene) -> AbstractAsyncContextManager[Connection]:
    """Connect directly, not through a proxy."""
    return connected(scene.rig.postgres.url, connect_seconds=30)


FAULTS = {
    "postgres_locked": Fault("postgres", pool_exhausted),
    "postgres_connections": Fault("postgres", no_connections),
    "postgres_statement_timeout": Fault("postgres", statement_timeout),
    "postgres_serializable": Fault("postgres", serializable),
    "postgres_deadlocks": Fault("postgres", deadlocks),
}
