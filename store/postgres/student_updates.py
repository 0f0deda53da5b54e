"""Students get other values, many in one statement; who is in which class stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from uuid import UUID

from rules.changes import changed_student, distinct_runs
from rules.emails import key_of
from rules.errors import ServiceError, StudentNotFoundError
from rules.events import roster as events
from rules.history import Change, student_change
from rules.models import Caller, OutboxMessage, StudentChange, StudentRecord
from store.clock import utc_now
from store.postgres import changes, outbox, roster, sql, students
from store.postgres.database import Connection

#: Who changes which student, and what of it: no classes.
Asked: TypeAlias = tuple[Caller, UUID, StudentChange]


async def update(connection: Connection, asked: Sequence[Asked]) -> list[ServiceError | None]:
    """Change students in this order; return the refusals, of which nothing is left."""
    refusals: list[ServiceError | None] = []
    for run in distinct_runs(asked, lambda one: (one[1],)):
        refusals += await _update(connection, run)
    return refusals


async def store(connection: Connection, records: Sequence[StudentRecord]) -> None:
    """Store the values of locked students whose addresses and external ids are claimed."""
    values = [
        (
            one.id,
            one.name.first_name,
            one.name.last_name,
            one.name.legal_full_name,
            one.email,
            None if one.email is None else key_of(one.email),
            one.external_id,
        )
        for one in records
    ]
    await connection.execute(sql.imports.CHANGE_STUDENTS, *outbox.transposed(values, 7))


async def _update(connection: Connection, asked: Sequence[Asked]) -> list[ServiceError | None]:
    """Change students, each once."""
    records = await _locked(connection, asked)
    writes = _Writes(connection)
    refusals = [await _refusal(writes, records.get(one[1]), one) for one in asked]
    await writes.flush()
    return refusals


async def _locked(connection: Connection, asked: Sequence[Asked]) -> Mapping[UUID, StudentRecord]:
    """Lock first, then read: what is read while waiting for the locks may be stale."""
    owned = [(student_id, caller.user_id) for caller, student_id, _ in asked]
    locked = await connection.fetch(sql.students.LOCK_OWNED_STUDENTS, *outbox.transposed(owned, 2))
    return await students.read(connection, [row["id"] for row in locked])


async def _refusal(
    writes: "_Writes", record: StudentRecord | None, asked: Asked
) -> ServiceError | None:
    caller, _, change = asked
    if record is None or record.owner_id != caller.user_id:
        return StudentNotFoundError()
    try:
        await writes.add(caller, record, change)
    except ServiceError as refusal:
        return refusal
    return None


@dataclass(slots=True)
class _Writes:
    """What is still to be written."""

    connection: Connection
    records: list[StudentRecord] = field(default_factory=list)
    messages: list[OutboxMessage] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    async def add(self, caller: Caller, before: StudentRecord, change: StudentChange) -> None:
        """Change a student. Raises ServiceError."""
        diff = changed_student(before, change)
        if diff is None:
            return
        if roster.claims(before, diff.record):
            # What earlier ones give away and take has to be there.
            await self.flush()
            await roster.claim(self.connection, before, diff.record)
        after = replace(diff.record, version=before.version + 1)
        self.records.append(after)
        self.messages += events.student_updated(caller, after, (), (), utc_now())
        self.changes.append(student_change(caller, before, after))
        if roster.claims(before, after):
            await self.flush()

    async def flush(self) -> None:
        """Write everything so far."""
        if not self.records:
            return
        await store(self.connection, self.records)
        await outbox.put(self.connection, self.messages)
        await changes.put(self.connection, self.changes)
        self.records, self.messages, self.changes = [], [], []
