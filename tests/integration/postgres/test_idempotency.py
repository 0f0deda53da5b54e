"""Idempotency keys where workers die, and where there are several."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
import pytest

from devstack.rig.database import connected
from devstack.rig.waiting import until
from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import (
    EmailConflictError,
    KeyReusedError,
    KeyUnderWayError,
    ServiceError,
    StoreUnavailableError,
)
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.models import ClassRecord, Policy, StudentRecord
from store.postgres.classes import PostgresClassRepository
from store.postgres.database import Database, PoolConfig
from store.postgres.idempotency import PostgresIdempotency
from store.postgres.maintenance import PostgresMaintenance
from tests.integration.store.builders import caller, new_class, new_student
from tests.support.stores import EMPTY

TEACHER: Final = caller("lärare-1")
KEY: Final = KeyedRequest("lärare-1", "a-key", b"digest")
OTHER_KEY: Final = KeyedRequest("lärare-1", "another-key", b"digest")

BACKEND: Final = "select pg_backend_pid()"
TERMINATE: Final = "select pg_terminate_backend($1)"
KEEP: Final = """
insert into idempotency_keys (owner_id, key, digest, status, headers, body)
values ('lärare-1', 'a-key', 'digest', 201, '{"X": "y"}', 'of another worker')
"""

OLD: Final = """
insert into idempotency_keys (owner_id, key, digest, status, headers, body, at)
select 'lärare-1', n::text, 'digest', 201, '{}', '', now() - interval '3 days' + n * interval '1 s'
from generate_series(1, 5) as n
"""
TAKEN_ANEW: Final = "update idempotency_keys set at = now() where key = '5'"

Work = Callable[[], Awaitable[KeptAnswer]]


class Worker:
    """The store of one worker, as far as requests with keys need it."""

    def __init__(self, dsn: str) -> None:
        self.database = Database(PoolConfig(dsn, 1, 10, acquire_timeout=30, command_timeout=30))
        self.classes = PostgresClassRepository(self.database, Policy())
        self.keys = PostgresIdempotency(self.database)

    def creates(self) -> Work:
        async def work() -> KeptAnswer:
            wanted = [NewClassRequest(TEACHER, new_class())]
            (made,) = await self.classes.create_classes(wanted)
            assert isinstance(made, ClassRecord)
            return await answered(made)

        return work

    async def sent(self, key: KeyedRequest, *, gathered: bool = True) -> KeptAnswer:
        """Send a request until it is answered, as clients do."""
        while True:
            try:
                if gathered:
                    return await self.create_class(key)
                return await self.keys.once(key, self.creates())
            except KeyUnderWayError:
                continue

    async def create_class(self, key: KeyedRequest = KEY) -> KeptAnswer:
        """Create another class each time, gathered with others."""
        wanted = NewClassRequest(TEACHER, new_class())
        return await self.keys.create_class(key, wanted, answered)


async def answered(made: ClassRecord | StudentRecord) -> KeptAnswer:
    return KeptAnswer(201, {"Location": str(made.id)}, str(made.id).encode())


@pytest.fixture
async def connection(
    migrated_database: str,
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    async with connected(migrated_database) as connection:
        await connection.execute(EMPTY)
        yield connection


@pytest.fixture
async def workers(migrated_database: str, connection: object) -> AsyncIterator[list[Worker]]:
    assert connection
    async with AsyncExitStack() as stack:
        made = [Worker(migrated_database) for _ in range(3)]
        for worker in made:
            stack.push_async_callback(worker.database.close)
        yield made


async def count(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> int:
    counted: int = await connection.fetchval(f"select count(*) from {table}")
    return counted


async def effects(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[int, ...]:
    """Return how many classes, created events and kept answers there are."""
    events = "outbox where topic = 'huleedu.class.created.v1'"
    return tuple([await count(connection, t) for t in ("classes", events, "idempotency_keys")])


async def test_a_worker_that_dies_before_the_commit_leaves_nothing(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    first, second, _ = workers

    async def dies() -> KeptAnswer:
        made = await first.creates()()
        async with first.database.acquire() as used:
            await connection.execute(TERMINATE, await used.fetchval(BACKEND))
        return made

    with pytest.raises(StoreUnavailableError):
        await first.keys.once(KEY, dies)
    assert await effects(connection) == (0, 0, 0)

    assert not (await second.keys.once(KEY, second.creates())).is_replay
    assert await effects(connection) == (1, 1, 1)


async def test_the_answer_of_a_worker_that_dies_after_the_commit_is_another_ones(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    first, second, third = workers
    lost = await first.keys.once(KEY, first.creates())

    again = await second.keys.once(KEY, second.creates())
    gathered = await third.create_class()

    assert again.is_replay
    assert gathered.is_replay
    assert again.body == gathered.body == lost.body
    assert again.headers == lost.headers
    assert await effects(connection) == (1, 1, 1)


async def test_workers_at_once_have_one_effect_for_each_key(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    answers = await asyncio.gather(
        *(
            worker.sent(
                KeyedRequest("lärare-1", f"key-{number % 5}", b"digest"), gathered=number % 2 == 0
            )
            for worker in workers
            for number in range(30)
        )
    )

    assert len({one.body for one in answers}) == 5
    assert await effects(connection) == (5, 5, 5)


async def test_the_key_of_a_worker_that_hangs_is_free_once_its_session_ends(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    first, second, _ = workers
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def hangs() -> KeptAnswer:
        made = await first.creates()()
        async with first.database.acquire() as used:
            begun.set_result(await used.fetchval(BACKEND))
        await asyncio.Event().wait()
        return made

    hanging = asyncio.create_task(first.keys.once(KEY, hangs))
    backend = await begun
    refused = await asyncio.gather(
        second.keys.once(KEY, second.creates()), second.create_class(), return_exceptions=True
    )
    assert {type(one) for one in refused} == {KeyUnderWayError}
    assert not (await second.create_class(OTHER_KEY)).is_replay  # nobody waits for another's key

    await connection.execute(TERMINATE, backend)
    assert not (await second.sent(KEY)).is_replay
    hanging.cancel()
    assert await effects(connection) == (2, 2, 2)


async def test_what_is_in_the_way_has_all_of_it_done_again(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    worker = workers[0]
    tries = 0

    async def work() -> KeptAnswer:
        nonlocal tries
        tries += 1
        made = await worker.creates()()
        if tries < 3:
            raise asyncpg.DeadlockDetectedError
        return made

    kept = await worker.keys.once(KEY, work)

    assert (tries, kept.is_replay) == (3, False)
    assert await effects(connection) == (1, 1, 1)


async def test_an_answer_that_is_there_in_spite_of_the_lock_is_the_one_that_counts(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    worker = workers[0]

    async def work() -> KeptAnswer:
        await connection.execute(KEEP)
        return await worker.creates()()

    kept = await worker.keys.once(KEY, work)

    assert kept == KeptAnswer(201, {"X": "y"}, b"of another worker", is_replay=True)
    assert await effects(connection) == (0, 0, 1)


async def test_of_those_created_together_a_refusal_is_its_own_only(workers: list[Worker]) -> None:
    worker = workers[0]
    await worker.create_class(OTHER_KEY)

    async def create(number: int) -> KeptAnswer | ServiceError:
        key = KeyedRequest("lärare-1", f"key-{number}", b"digest")
        wanted = new_student(email=f"{number // 2}@skola.example")
        try:
            return await worker.keys.create_student(
                key, NewStudentRequest(TEACHER, wanted), answered
            )
        except ServiceError as error:
            return error

    made = await asyncio.gather(*(create(number) for number in range(20)))

    refused = [one for one in made if isinstance(one, ServiceError)]
    assert [type(one) for one in refused] == [EmailConflictError] * 10
    again = await asyncio.gather(*(create(number) for number in range(20)))
    for first, second in zip(made, again, strict=True):
        if isinstance(first, KeptAnswer):
            assert isinstance(second, KeptAnswer)
            assert (second.is_replay, second.body) == (True, first.body)
        else:
            assert isinstance(second, EmailConflictError)
    reused = KeyedRequest("lärare-1", "another-key", b"else")
    with pytest.raises(KeyReusedError):
        await worker.create_class(reused)


async def test_a_trial_wakes_no_relay(workers: list[Worker]) -> None:
    worker = workers[0]

    await worker.keys.dry(worker.creates())
    assert not await worker.database.committed.wait(0)
    await worker.keys.once(KEY, worker.creates())
    assert await worker.database.committed.wait(0)


async def test_what_outlives_the_transaction_has_a_connection_of_its_own(
    workers: list[Worker], connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    worker = workers[0]
    later: list[asyncio.Task[KeptAnswer]] = []
    go_on = asyncio.Event()

    async def afterwards() -> KeptAnswer:
        await go_on.wait()
        return await worker.creates()()

    async def work() -> KeptAnswer:
        later.append(asyncio.create_task(afterwards()))
        return await worker.creates()()

    await worker.keys.once(KEY, work)
    go_on.set()
    await later[0]

    assert await effects(connection) == (2, 2, 1)


async def test_old_keys_go_in_pieces_and_one_that_is_taken_anew_stays(
    workers: list[Worker],
    connection: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("store.postgres.maintenance.KEYS_AT_ONCE", 2)
    await connection.execute(OLD)
    maintenance = PostgresMaintenance(workers[0].database)

    async with connection.transaction():
        await connection.execute(TAKEN_ANEW)
        purge = asyncio.create_task(maintenance.purge_keys())

        async def is_one_left() -> bool:  # the last piece waits for it, the others are committed
            return await count(connection, "idempotency_keys") == 1

        await until("the older ones to be gone", is_one_left)

    assert await purge == 4
    assert await count(connection, "idempotency_keys") == 1
