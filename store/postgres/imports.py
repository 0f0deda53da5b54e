"""Imports, on PostgreSQL."""

from dataclasses import asdict, dataclass
from typing import Final
from uuid import UUID

from rules.conditions import Condition
from rules.errors import ClassNotFoundError, ImportNotFoundError, PreconditionFailedError
from rules.events.envelopes import to_json
from rules.imports.applying import (
    MOST_TRIES,
    LeftOut,
    LeftOutError,
    check_applicable,
    check_undoable,
)
from rules.imports.fingerprints import fingerprint
from rules.imports.plans import ClassPlan, ImportRecord, PlannedRow, RosterState
from rules.models import Caller, Trace
from rules.tags import import_tag
from store.pace import Pace
from store.postgres import (
    gathered,
    import_rows,
    import_steps,
    outbox,
    roster_states,
    sql,
)
from store.postgres.database import Connection, Database
from store.postgres.import_steps import Work
from store.protocols.imports import (
    ApplyOptions,
    ImportPage,
    ImportQuery,
    NewImport,
    RowPage,
    RowQuery,
    Stepped,
    StoredRow,
    Waiting,
)
from store.signals import CommitSignal


@dataclass(slots=True)
class _Attempt:
    """What a step has taken on, to be told if it fails."""

    work: Work | None = None


class PostgresImports:
    """Implements ImportsProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._applying: Final = CommitSignal()

    async def roster_state(self, owner_id: str, class_id: UUID | None) -> RosterState:
        async with self._database.acquire() as connection:
            if class_id is not None:
                await _require_class(connection, owner_id, class_id)
            return await roster_states.of_owner(connection, owner_id)

    async def add_import(self, caller: Caller, new: NewImport) -> ImportRecord:
        async def work(connection: Connection) -> ImportRecord:
            await _insert(connection, caller, new)
            return await _get(connection, sql.imports.GET_IMPORT, caller.user_id, new.id)

        return await self._database.transact(work)

    async def get_import(self, owner_id: str, import_id: UUID) -> ImportRecord:
        async with self._database.acquire() as connection:
            return await _get(connection, sql.imports.GET_IMPORT, owner_id, import_id)

    async def list_imports(self, owner_id: str, query: ImportQuery) -> ImportPage:
        after = query.after or (None, None)
        async with self._database.acquire() as connection:
            found = await connection.fetch(sql.imports.LIST_IMPORTS, owner_id, query.limit, *after)
        imports = tuple(import_rows.record(row) for row in found[: query.limit])
        return ImportPage(imports, len(found) > query.limit)

    async def import_rows(self, owner_id: str, import_id: UUID, query: RowQuery) -> RowPage:
        kinds = [one and one.value for one in (query.kind, query.entity)]
        async with self._database.acquire() as connection:
            await _get(connection, sql.imports.GET_IMPORT, owner_id, import_id)
            found = await connection.fetch(
                sql.imports.IMPORT_ROWS, import_id, query.limit, query.after, *kinds, query.noticed
            )
        shown = tuple(
            StoredRow(row["number"], import_rows.planned_row(row), row["left_out"])
            for row in found[: query.limit]
        )
        return RowPage(shown, len(found) > query.limit)

    async def applied_rows(self, owner_id: str, import_id: UUID) -> list[PlannedRow]:
        read: list[PlannedRow] = []
        async with self._database.acquire() as connection:
            record = await _get(connection, sql.imports.GET_IMPORT, owner_id, import_id)
            check_undoable(record.state)
            last, at_once = 0, import_rows.ROWS_AT_ONCE
            while True:
                values = import_id, last, at_once
                found = await connection.fetch(sql.imports.APPLIED_ROWS, *values)
                read += await import_rows.planned_rows(found)
                if len(found) < at_once:
                    return read
                last = found[-1]["number"]

    async def apply_import(
        self, caller: Caller, import_id: UUID, options: ApplyOptions, condition: Condition
    ) -> ImportRecord:
        record = await self._database.transact(
            lambda connection: _start(connection, caller, import_id, options, condition)
        )
        self._applying.set()
        return record

    async def apply_next(self) -> bool:
        return await self.step() is not None

    async def step(self) -> Stepped | None:
        attempt = _Attempt()
        try:
            return await self._database.transact(lambda connection: _step(connection, attempt))
        except Exception as error:
            if attempt.work is None:
                raise
            return await self._failed(attempt.work, error)

    async def _failed(self, work: Work, error: Exception) -> Stepped:
        """Have a part tried again later, so that no other import waits for it."""

        async def put_off(connection: Connection) -> Stepped:
            values = work.import_id, work.number, MOST_TRIES
            is_out = await connection.fetchval(sql.imports.PART_FAILED, *values)
            if is_out:
                await connection.execute(sql.imports.END_IMPORT, work.import_id)
            owner_id, get = work.caller.user_id, sql.imports.GET_IMPORT
            record = await _get(connection, get, owner_id, work.import_id)
            return Stepped(record, work.caller.trace, LeftOut.FAILED if is_out else None, error)

        return await self._database.transact(put_off)

    async def wait(self, timeout_seconds: float) -> None:
        await self._applying.wait(timeout_seconds)

    async def waiting(self) -> Waiting:
        async with self._database.acquire() as connection:
            (row,) = await connection.fetch(sql.imports.WAITING_IMPORTS)
        return Waiting(row["imports"], max(row["age"], 0.0))

    async def expire_imports(self) -> int:
        while await self._one(sql.imports.FORGET_IMPORT):
            pass
        expired = 0
        while await self._one(sql.imports.EXPIRE_IMPORT):
            expired += 1
        return expired

    async def _one(self, statement: str) -> bool:
        async with self._database.acquire() as connection:
            return await connection.fetchval(statement) is not None


async def _require_class(connection: Connection, owner_id: str, class_id: UUID) -> None:
    found = await connection.fetch(sql.classes.NAME_CLASSES, [class_id])
    if not any(row["owner_id"] == owner_id for row in found):
        raise ClassNotFoundError


async def _get(
    connection: Connection, statement: str, owner_id: str, import_id: UUID
) -> ImportRecord:
    row = await connection.fetchrow(statement, import_id, owner_id)
    if row is None:
        raise ImportNotFoundError
    return import_rows.record(row)


async def _insert(connection: Connection, caller: Caller, new: NewImport) -> None:
    parts = import_rows.part_columns(new.plan)
    await connection.execute(
        sql.imports.INSERT_IMPORT,
        new.id,
        caller.user_id,
        new.mode.value,
        new.class_id,
        to_json(asdict(new.plan.summary)).decode(),
        new.undoes,
        new.filename,
        sum(parts[-1]),
        caller.trace.correlation_id,
        caller.trace.traceparent,
    )
    await connection.execute(sql.imports.INSERT_PARTS, new.id, *parts)
    async for columns in import_rows.row_columns(new.plan, is_undo=new.undoes is not None):
        await connection.execute(sql.imports.INSERT_ROWS, new.id, *columns)


# --- applying ------------------------------------------------------------------------------------


async def _start(
    connection: Connection,
    caller: Caller,
    import_id: UUID,
    options: ApplyOptions,
    condition: Condition,
) -> ImportRecord:
    owner_id = caller.user_id
    record = await _get(connection, sql.imports.LOCK_IMPORT, owner_id, import_id)
    condition.check(import_tag(record))
    parts = await connection.fetch(sql.imports.PARTS, import_id)
    plans = {row["number"]: import_rows.part(row) for row in parts}
    check_applicable(
        record.state,
        plans.values(),
        record.summary.errors,
        force=options.force,
        skip_errors=options.skip_errors,
    )
    applied = {number: plan for number, plan in plans.items() if not plan.has_errors}
    await _check_unmoved(connection, owner_id, import_id, applied)
    await connection.execute(sql.imports.SKIP_PARTS, import_id)
    trace = caller.trace
    values = import_id, trace.correlation_id, trace.traceparent
    await connection.execute(sql.imports.START_APPLYING, *values)
    return await _get(connection, sql.imports.GET_IMPORT, owner_id, import_id)


async def _check_unmoved(
    connection: Connection, owner_id: str, import_id: UUID, plans: dict[int, ClassPlan]
) -> None:
    """Check that all parts rest on what is there. Raises PreconditionFailedError.

    Nothing is locked: each step looks again.
    """
    found = await connection.fetch(sql.imports.RESTING, import_id)
    resting = {row["part"]: row["ids"] for row in found}
    class_ids = [one.class_id for one in plans.values() if one.class_id is not None]
    ids = {one for number in plans for one in resting.get(number, ())}
    state = await roster_states.of_touched(connection, owner_id, class_ids, ids)
    pace = Pace()
    for number, plan in plans.items():
        if fingerprint(state, plan.class_id, resting.get(number, ())) != plan.fingerprint:
            raise PreconditionFailedError
        await pace.keep()


async def _step(connection: Connection, attempt: _Attempt) -> Stepped | None:
    row = await connection.fetchrow(sql.imports.NEXT_IMPORT)
    if row is None:
        return None
    import_id = row["id"]
    caller = Caller(row["owner_id"], Trace(row["correlation_id"], row["traceparent"]))
    found = await connection.fetch(sql.imports.NEXT_PARTS, import_id)
    left_out = None
    if found:
        work = Work(import_id, found[0]["number"], caller, import_rows.part(found[0]))
        attempt.work = work
        left_out = await _apply(connection, work)
    over = sql.imports.GO_ON if len(found) > 1 else sql.imports.END_IMPORT
    await connection.execute(over, import_id)
    now = await _get(connection, sql.imports.GET_IMPORT, caller.user_id, import_id)
    applied = bool(found) and left_out is None
    return Stepped(now, caller.trace, left_out, applied=applied)


async def _apply(connection: Connection, work: Work) -> LeftOut | None:
    """Apply a part all or nothing; return why it is left out, if it is."""
    async with gathered.gathering(connection) as messages:
        left_out = await gathered.attempt(
            connection, lambda: _left_out(connection, work), lambda reason: reason is None
        )
    await outbox.put(connection, messages)
    state = "done" if left_out is None else "left_out"
    values = work.import_id, work.number, state, left_out and left_out.value
    await connection.execute(sql.imports.PART_OVER, *values)
    return left_out


async def _left_out(connection: Connection, work: Work) -> LeftOut | None:
    try:
        await import_steps.apply(connection, work)
    except LeftOutError as error:
        return error.reason
    return None
