"""The keys of addresses, on PostgreSQL: computed for the students of older versions."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

from rules.email_keys import Collision, Keyed, OwnedKey, collisions, plan_keys
from rules.emails import key_of
from rules.ids import new_id
from store.pace import Pace
from store.postgres import outbox, sql
from store.postgres.database import Connection, Database
from store.postgres.rows import Row
from store.protocols.email_keys import Lacking, WithoutKey

_SELECT: Final = MappingProxyType(
    {
        Lacking.UNKEYED: sql.email_keys.UNKEYED_STUDENTS,
        Lacking.COLLIDING: sql.email_keys.COLLIDING_STUDENTS,
    }
)
_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)
#: Students that one statement lists for people.
_LISTED_AT_ONCE: Final = 1_000


class PostgresEmailKeys:
    """Implements EmailKeysProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fill(self, lacking: Lacking, begin: UUID, limit: int) -> UUID | None:
        async def work(connection: Connection) -> UUID | None:
            if not await connection.fetchval(sql.email_keys.LEASE_EMAIL_KEYS):
                return None
            found = await connection.fetch(_SELECT[lacking], begin, limit)
            await _fill(connection, found)
            return _after(found) if len(found) == limit else None

        return await self._database.transact(work)

    async def count(self) -> WithoutKey:
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(sql.email_keys.COUNT_WITHOUT_KEY)
        return WithoutKey(**dict(row or {}))

    async def collisions(self) -> list[Collision]:
        async with self._database.acquire() as connection:
            colliding: list[Keyed] = []
            begin: UUID | None = _FIRST
            while begin is not None:
                found = await connection.fetch(
                    sql.email_keys.COLLIDING_STUDENTS, begin, _LISTED_AT_ONCE
                )
                colliding += await _keyed(found)
                begin = _after(found)
            holders = await _holders(
                connection, sql.email_keys.EMAIL_KEY_HOLDERS, _wanted(colliding)
            )
        return collisions(colliding, holders)


async def _fill(connection: Connection, found: Sequence[Row]) -> None:
    """Give keys to students that were found without a lock, as far as they are still so."""
    await connection.execute(sql.email_keys.DROP_STALE_KEYS, [row["id"] for row in found])
    students = await _keyed(found)
    free = await _claim(connection, _wanted(students))
    # Locked only now: while others' claims are waited for, none of them waits for a student.
    emails = {row["id"]: row["email"] for row in found}
    locked = await connection.fetch(sql.email_keys.LOCK_FREE_STUDENTS, list(emails))
    same = {row["id"] for row in locked if row["email"] == emails[row["id"]]}
    students = [one for one in students if one.id in same]
    taken = [owned for owned in _wanted(students) if owned not in free]
    holders = await _holders(connection, sql.email_keys.LOCK_EMAIL_KEY_HOLDERS, taken)
    plan = plan_keys(students, free, holders)
    await connection.execute(sql.email_keys.DROP_KEYS, list(plan.losing))
    await connection.execute(
        sql.email_keys.KEEP_KEYS, *outbox.transposed(list(plan.keys.items()), 2)
    )


async def _keyed(found: Sequence[Row]) -> list[Keyed]:
    students: list[Keyed] = []
    pace = Pace()
    for row in found:
        key = None if row["email"] is None else key_of(row["email"])
        students.append(Keyed(row["id"], row["owner_id"], key, row["created_at"]))
        await pace.keep()
    return students


def _wanted(students: Sequence[Keyed]) -> list[OwnedKey]:
    return list({(one.owner_id, one.key): None for one in students if one.key is not None})


async def _claim(connection: Connection, wanted: Sequence[OwnedKey]) -> set[OwnedKey]:
    """Keep the free ones of these keys until the commit; return them."""
    claims: Mapping[UUID, OwnedKey] = {new_id(): owned for owned in wanted}
    rows = [(claim, *owned) for claim, owned in claims.items()]
    made = await connection.fetch(sql.email_keys.CLAIM_EMAIL_KEYS, *outbox.transposed(rows, 3))
    claimed = [row["id"] for row in made]
    await connection.execute(sql.students.DROP_CLAIMS, claimed)
    return {claims[claim] for claim in claimed}


async def _holders(
    connection: Connection, statement: str, wanted: Sequence[OwnedKey]
) -> list[Keyed]:
    found = await connection.fetch(statement, *outbox.transposed(wanted, 2)) if wanted else []
    return [Keyed(r["id"], r["owner_id"], r["email_key"], r["created_at"]) for r in found]


def _after(found: Sequence[Row]) -> UUID | None:
    """Return the first id after those found, None if there is none."""
    if not found or found[-1]["id"] == _LAST:
        return None
    return UUID(int=found[-1]["id"].int + 1)
