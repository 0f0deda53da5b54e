"""An erasing under way: portions of work, each a transaction that also counts what it did.

Every portion can be repeated, and none depends on a place that was kept: who is killed begins
again, and finds less. So nothing but the names by which traces are found is remembered.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar

import asyncpg
import orjson

from rules.ids import new_id
from rules.models import Caller, Policy, Trace
from rules.personal.subjects import Erasure, Kind, Known, Report, Subject, pseudonym
from store.postgres import rows, sql
from store.postgres.database import Connection, Database
from store.protocols.privacy import BeingErasedError, Told

T = TypeVar("T")

#: Rows that one transaction changes at most. Fewer would read whole tables more often.
AT_ONCE: Final = 5_000
#: Between looks at what others have under way.
LOOK_SECONDS: Final = 0.2


class Work:
    """The erasing of one subject."""

    def __init__(
        self,
        database: Database,
        policy: Policy,
        erasure: Erasure,
        guard: asyncpg.Connection,
    ) -> None:
        """`guard` has the lock of the subject."""
        self.database = database
        self.policy = policy
        self.erasure = erasure
        self.unfinished: list[str] = []
        self.told: Told = lambda _table, _rows: None
        self.patience_seconds = 0.0
        self._guard = guard

    def caller(self, owner_id: str) -> Caller:
        """Return in whose name is deleted: the owner's. The correlation id is the erasing's."""
        return Caller(owner_id, Trace(self.erasure.id))

    async def portion(
        self, table: str, work: Callable[[Connection], Awaitable[tuple[int, T]]]
    ) -> T:
        """Do a portion of work, which returns how many rows of `table` it erased, and a result."""

        async def counted(connection: Connection) -> tuple[int, T]:
            done, result = await work(connection)
            if done:
                await connection.execute(sql.privacy.COUNT, self.erasure.id, table, done)
            return done, result

        await self._guard.execute(sql.sessions.KEEP_ALIVE)
        done, result = await self.database.transact(counted)
        self.told(table, done)
        return result

    async def once(self, table: str, work: Callable[[Connection], Awaitable[int]]) -> int:
        """Do a portion of work; return how many rows of `table` it erased."""

        async def portion(connection: Connection) -> tuple[int, int]:
            done = await work(connection)
            return done, done

        return await self.portion(table, portion)

    async def repeat(self, table: str, work: Callable[[Connection], Awaitable[int]]) -> None:
        """Do portions of work until one finds nothing."""
        while await self.once(table, work):
            pass

    async def update(self, table: str, statement: str, *values: object) -> None:
        """Repeat a statement, whose last parameter is how many rows it changes at most."""

        async def work(connection: Connection) -> int:
            return changed(await connection.execute(statement, *values, AT_ONCE))

        await self.repeat(table, work)

    async def find(self, statement: str, *values: object) -> "rows.Row | None":
        """Return the first row that is found."""
        async with self.database.acquire() as connection:
            return await connection.fetchrow(statement, *values)

    async def until(self, done: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        """Wait for what others do; if it takes too long, the erasing is not finished."""
        clock = asyncio.get_running_loop().time
        end = clock() + self.patience_seconds
        while not await done():
            if clock() >= end:
                self.unfinished.append(otherwise)
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def settled(self) -> None:
        """Wait for the transactions that began before: they may write what they have read."""
        newest = await self.find(sql.privacy.NEWEST)

        async def over() -> bool:
            oldest = await self.find(sql.privacy.OLDEST)
            return bool(oldest and newest and oldest[0] >= newest[0])

        await self.until(over, "a transaction that began before it goes on")

    async def reload(self) -> Known:
        """Return what is known of a student by now."""
        row = await self.find(sql.privacy.ERASURE, self.erasure.id)
        self.erasure = erasure(row) if row else self.erasure
        return self.erasure.known or Known("")


@asynccontextmanager
async def guarded(database: Database, subject: Subject) -> AsyncIterator[asyncpg.Connection]:
    """Keep other runs away from a subject. Raises BeingErasedError.

    By a transaction of a connection of its own, which holds nothing but the lock: it ends with the
    process, also behind a pooler.
    """
    async with database.alone() as connection, connection.transaction():
        name = f"{subject.kind} {subject.id}"
        if not await connection.fetchval(sql.privacy.LOCK_SUBJECT, name):
            raise BeingErasedError
        yield connection


async def begin(connection: Connection, subject: Subject, known: Known | None) -> Erasure:
    """Remember that an erasing began."""
    new = Erasure(new_id(), subject, pseudonym(), known)
    values = (
        (known.owner_id, list(known.names), list(known.essays)) if known else (None, None, None)
    )
    identity = new.id, subject.kind.value, subject.id, new.pseudonym
    await connection.execute(sql.privacy.BEGIN, *identity, *values)
    return new


def erasure(row: rows.Row) -> Erasure:
    """Read an erasing."""
    known = None
    if row["owner_id"] is not None:
        known = Known(row["owner_id"], tuple(row["names"]), frozenset(row["essays"]))
    subject = Subject(Kind(row["subject"]), row["subject_id"])
    return Erasure(row["id"], subject, row["pseudonym"], known)


async def finish(work: Work) -> Report:
    """Forget what was known, if everything is done, and return what was erased."""
    if not work.unfinished:
        await work.portion("erasures", _finished(work))
    row = await work.find(sql.privacy.ERASURE, work.erasure.id)
    if row is None:
        raise LookupError("the erasing is gone")
    return replace(report(row, work.erasure), unfinished=tuple(work.unfinished))


def _finished(work: Work) -> Callable[[Connection], Awaitable[tuple[int, None]]]:
    async def finished(connection: Connection) -> tuple[int, None]:
        await connection.execute(sql.privacy.FINISH, work.erasure.id)
        return 0, None

    return finished


def report(row: rows.Row, of: Erasure) -> Report:
    """Read what was erased."""
    return Report(of, row["started_at"], row["finished_at"], orjson.loads(row["counts"]))


def changed(status: str) -> int:
    """Return how many rows a statement changed, as PostgreSQL says it: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
