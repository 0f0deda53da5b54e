"""The UNKNOWN students of classes: found or made for the clock, and settled, on PostgreSQL.

The caller has locked the classes. Students are locked last, as everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from rules import placeholders
from rules.ids import new_id
from rules.models import SYSTEM_AUTO, ClassSummary, StudentRecord, Trace
from rules.placeholders import Settled, Settlement, is_in_place, settlements
from rules.timeouts import unknown_student, unknown_student_email
from store.clock import utc_now
from store.postgres import changes, outbox, rows, sql, students
from store.postgres.database import Connection, Database

#: Classes by id, each with the trace of what needs their UNKNOWN student.
Needed: TypeAlias = Mapping[UUID, tuple[ClassSummary, Trace]]
Holders: TypeAlias = dict[UUID, list[StudentRecord]]

#: A worker of an older version may make an ordinary one at the same moment.
_ATTEMPTS: Final = 3


class PostgresPlaceholders:
    """Implements PlaceholderProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settle(self, after: UUID | None, limit: int) -> Settled:
        return await self._database.transact(
            lambda connection: settle_some(connection, after, limit)
        )

    async def withdraw(self, limit: int) -> list[UUID]:
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.placeholders.SUGGESTED_PLACEHOLDERS, limit)
        for row in found:
            await self._withdraw(row["id"], row["owner_id"])
        return [row["id"] for row in found]

    async def _withdraw(self, student_id: UUID, owner_id: str) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(
                sql.open_batches.LOCK_BATCHES_SUGGESTING, student_id, owner_id, None
            )
            correlations = changes.correlations(connection, [Trace(new_id())])
            values = student_id, None, owner_id, correlations, SYSTEM_AUTO
            await connection.execute(sql.open_batches.WITHDRAW_SUGGESTIONS, *values)

        await self._database.transact(work)


async def find(connection: Connection, needed: Needed) -> dict[UUID, UUID]:
    """Return the UNKNOWN students of classes that have one, enrolled there.

    Whoever else has such an address loses it, or becomes what the service meant by it.
    """
    if not needed:
        return {}
    holders = await _holders(connection, needed)
    strays = [
        record.id
        for class_id, records in holders.items()
        for record in records
        if not is_in_place(record, class_id)
    ]
    if strays:
        await connection.execute(sql.students.LOCK_STUDENTS, strays)
        await connection.execute(sql.email_keys.DROP_STALE_KEYS, strays)
        holders = await _settled(connection, needed, await _holders(connection, needed))
    found = {i: placeholders.of_class(i, records) for i, records in holders.items()}
    return {class_id: record.id for class_id, record in found.items() if record}


async def make(connection: Connection, needed: Needed, by: str) -> dict[UUID, UUID]:
    """Return the UNKNOWN students of classes that had none a moment ago; `by` needs them."""
    made: dict[UUID, UUID] = {}
    for _ in range(_ATTEMPTS):
        missing = {i: value for i, value in needed.items() if i not in made}
        if not missing:
            break
        await students.create(
            connection,
            [unknown_student(cls, trace, by) for cls, trace in missing.values()],
            limited=False,
        )
        # Another transaction may have made one at the same moment.
        made |= await find(connection, missing)
    return made


async def settle_some(connection: Connection, after: UUID | None, limit: int) -> Settled:
    """Settle students that other workers are not at, as PlaceholderProtocol says."""
    locked = await connection.fetch(sql.placeholders.LOCK_OUT_OF_PLACE, after or UUID(int=0), limit)
    ids = [row["id"] for row in locked]
    if not ids:
        return Settled()
    found = await connection.fetch(sql.students.STUDENTS_BY_ID, ids)
    changed = settlements(map(rows.student_record, found))
    await _store(connection, changed, Trace(new_id()))
    return placeholders.summary(changed, ids[-1])


async def _holders(connection: Connection, needed: Needed) -> Holders:
    """Return who has the address of each class's UNKNOWN student."""
    wanted = [(cls.id, cls.owner_id, unknown_student_email(cls.id)) for cls, _ in needed.values()]
    found = await connection.fetch(sql.placeholders.ADDRESS_HOLDERS, *outbox.transposed(wanted, 3))
    holders: Holders = {}
    for row in found:
        holders.setdefault(row["class_id"], []).append(rows.student_record(row))
    return holders


async def _settled(connection: Connection, needed: Needed, holders: Holders) -> Holders:
    """Settle locked students; return them as they are then."""
    settled: Holders = {}
    for class_id, records in holders.items():
        cls, trace = needed[class_id]
        changed = {one.before.id: one for one in settlements(records)}
        await _store(connection, list(changed.values()), trace)
        after = [changed[r.id].after if r.id in changed else r for r in records]
        settled[class_id] = after
        placeholder = placeholders.of_class(class_id, after)
        if placeholder and class_id not in placeholder.class_ids:
            await _enrol(connection, placeholder, cls, trace)
    return settled


async def _store(connection: Connection, changed: Sequence[Settlement], trace: Trace) -> None:
    if not changed:
        return
    values = [(s.after.id, s.after.is_placeholder, s.after.email, s.after.version) for s in changed]
    await connection.execute(sql.placeholders.SETTLE_STUDENTS, *outbox.transposed(values, 4))
    await changes.put(connection, placeholders.changes(changed, trace))
    await outbox.put(connection, placeholders.messages(changed, trace, utc_now()))


async def _enrol(
    connection: Connection, record: StudentRecord, cls: ClassSummary, trace: Trace
) -> None:
    """Enrol a placeholder whose class was made anew, or which an older worker took out of it."""
    joining = placeholders.enrolled(record, cls.id)
    await connection.execute(sql.placeholders.ENROL_PLACEHOLDER, record.id, cls.id, cls.owner_id)
    await changes.put(connection, placeholders.enrolment_changes(joining, cls, trace))
    messages = placeholders.enrolment_messages(joining, cls, trace, utc_now())
    await outbox.put(connection, messages)
