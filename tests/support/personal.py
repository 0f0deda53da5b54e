"""A student who has left traces everywhere, and a search through all that PostgreSQL stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from devstack.rig.database import connected
from rules import topics
from rules.documents import student_json
from rules.events.envelopes import to_json
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.ids import new_id
from rules.models import (
    Caller,
    EmailChange,
    HumanDecision,
    PersonName,
    Policy,
    Record,
    StudentChange,
    Trace,
)
from rules.shards import shard_of
from rules.suggestions import Outcome
from store.postgres.database import Database, PoolConfig
from store.postgres.packs import pack_headers
from store.postgres.privacy.repository import PostgresPrivacy
from store.protocols.outbox import Refusal
from tests.integration.store.builders import (
    Stores,
    caller,
    deliver,
    make_class,
    make_student,
    new_class,
    new_student,
    result,
    store_one,
    suggest,
)
from tests.support.stores import postgres_stores

#: Nothing else has these in it, whatever the case.
FIRST: Final = "Qzyzxa"
LAST: Final = "Wvutsk"
FORMER: Final = "Xyfqrm"
EMAIL: Final = "jkhgfd@skola.example"
FORMER_EMAIL: Final = "plmoknij@skola.example"
EXTERNAL: Final = "xq-7781-zz"
MARKS: Final = (FIRST, LAST, FORMER, "jkhgfd", "plmoknij", EXTERNAL)
NAME: Final = PersonName(FIRST, LAST, f"{FIRST} von {LAST}")
FORMER_NAME: Final = PersonName(FIRST, FORMER, f"{FIRST} {FORMER}")

TEACHER: Final = "tchr-bnmvcx"
OTHER: Final = "another-teacher"

COLUMNS: Final = """
select attrelid::regclass::text as table_name, attname as name,
    atttypid = 'bytea'::regtype as is_bytes
from pg_attribute join pg_class on pg_class.oid = attrelid
where relkind in ('r', 'm') and relnamespace = 'public'::regnamespace
    and attnum > 0 and not attisdropped
"""

SET_ASIDE: Final = """
insert into outbox_set_aside (shard, id, topic, key, value, headers, created_at, reason)
values ($1, $2, $3, $4, $5, $6, now(), $7)
"""

IMPORT_ID: Final = UUID("019a2b71-05d2-7c3a-9be4-b7f1f0c2d8aa")
IMPORT: Final = """
insert into imports (id, owner_id, state, mode, class_id, summary, filename, rows_total, expires_at,
    correlation_id)
values ($1, $2, 'planned', 'add', $3, '{}', $4, 3, now() + interval '1 day', $5)
"""
ROW: Final = """
insert into import_rows (import_id, number, kind, entity, file, class_id, student_id, before, after,
    notices, rests, kept)
values ($1, $2, $3, 'student', '', $4, $5, $6, $7, $8, false, false)
"""
MARK: Final = """
insert into import_marks (student_id, first_name, last_name, legal_full_name, email, external_id)
values ($1, $2, $3, $4, $5, $6)
"""
NAME_JSON: Final = {"first_name": FIRST, "last_name": LAST, "full_name": NAME.legal_full_name}


async def found(dsn: str, text: str) -> set[str]:
    """Return the columns of all tables that have a text, in whatever case."""
    async with connected(dsn) as connection:
        columns = await connection.fetch(COLUMNS)
        where: set[str] = set()
        for column in columns:
            name, table = f'"{column["name"]}"', column["table_name"]
            shown = f"encode({name}, 'escape')" if column["is_bytes"] else f"{name}::text"
            sought = f"select count(*) from {table} where position(lower($1) in lower({shown})) > 0"
            if await connection.fetchval(sought, text):
                where.add(f"{table}.{column['name']}")
    return where


@asynccontextmanager
async def privacy(dsn: str, policy: Policy | None = None) -> AsyncIterator[PostgresPrivacy]:
    database = Database(PoolConfig(dsn, 1, 1, acquire_timeout=30, command_timeout=60))
    try:
        yield PostgresPrivacy(database, policy or Policy())
    finally:
        await database.close()


@dataclass(frozen=True)
class World:
    """What there is: the student's essays by what became of them, and a namesake of another."""

    stores: Stores
    teacher: Caller
    class_id: UUID
    gone_class: UUID
    student: UUID
    mate: UUID
    namesake: UUID
    batch: UUID
    gone_batch: UUID
    closed: UUID
    essays: dict[str, UUID]


@asynccontextmanager
async def world(dsn: str) -> AsyncIterator[World]:
    """Fill a database; the outbox has all that was published since."""
    async with postgres_stores(dsn, Policy()) as stores:
        yield await _filled(dsn, stores)


async def _filled(dsn: str, stores: Stores) -> World:
    teacher = caller(TEACHER)
    cls = (await make_class(stores, teacher, new_class("Klass ghjty"))).id
    gone = (await make_class(stores, teacher, new_class("Klass gone"))).id
    wanted = replace(new_student(FIRST, FORMER, FORMER_EMAIL, [cls, gone]), external_id=EXTERNAL)
    student = (await make_student(stores, teacher, wanted)).id
    mate = (await make_student(stores, teacher, new_student("Mate", "Mattsson", None, [cls]))).id
    change = StudentChange(name=NAME, email=EmailChange(EMAIL))
    record = await stores.classes.update_student(teacher, student, change)
    namesake = await _namesake(stores)
    essays = {what: new_id() for what in ("human", "clock", "pending", "other", "past", "gone")}
    batch = await _batch(stores, teacher, cls, student, mate, essays)
    closed = await _closed_by_clock(stores, cls, student, essays["clock"])
    gone_batch = await _of_deleted_class(stores, teacher, gone, student, essays["gone"])
    key = KeyedRequest(TEACHER, "a-key", b"digest")
    body = to_json(student_json(record))
    await stores.idempotency.once(key, lambda: _answer(body))
    await _parked(stores, cls, student)
    await _set_aside(dsn, student)
    await _imported(dsn, cls, student, mate)
    await stores.feed.number()
    return World(
        stores, teacher, cls, gone, student, mate, namesake, batch, gone_batch, closed, essays
    )


async def _namesake(stores: Stores) -> UUID:
    """Make somebody with another name of the same letters, of another teacher."""
    other = caller(OTHER)
    made = await make_student(stores, other, new_student("Other", "Namesake", "o@skola.example"))
    return made.id


async def _answer(body: bytes) -> KeptAnswer:
    return KeptAnswer(201, {"Content-Type": "application/json"}, body)


async def _batch(
    stores: Stores,
    teacher: Caller,
    class_id: UUID,
    student: UUID,
    mate: UUID,
    essays: dict[str, UUID],
) -> UUID:
    """Store an open batch: decided, pending, decided for another, and corrected to another."""
    why = [f"header: {FIRST} {LAST}"]
    hers, other = suggest(student, 0.9, why), suggest(mate, 0.5, [f"near {LAST}"])
    named = f"{LAST.lower()}_{FIRST.upper()}-v2.docx"
    delivery = deliver(
        class_id,
        *(result(hers, other, essay_id=essays[e], filename=named) for e in ("human", "pending")),
        result(
            suggest(mate, 0.8),
            suggest(student, 0.2, why),
            essay_id=essays["other"],
            filename=f"{FORMER} {FIRST}.txt",
        ),
        result(hers, essay_id=essays["past"], filename=named),
    )
    assert await store_one(stores, delivery) is Outcome.STORED
    batch_id = delivery.message.batch_id
    decided = [HumanDecision(essays[e], confirmed=True) for e in ("human", "past")]
    await stores.associations.confirm(teacher, batch_id, decided)
    await stores.associations.correct(teacher, batch_id, essays["past"], mate)
    return batch_id


async def _closed_by_clock(stores: Stores, class_id: UUID, student: UUID, essay: UUID) -> UUID:
    """Store a batch that the clock decides, whose event has her name."""
    delivery = deliver(class_id, result(suggest(student, 0.9), essay_id=essay))
    await store_one(stores, delivery)
    await stores.elapse(timedelta(hours=25))
    await stores.timers.decide_due([delivery.message.batch_id])
    await stores.elapse(-timedelta(hours=25))
    return delivery.message.batch_id


async def _of_deleted_class(
    stores: Stores, teacher: Caller, class_id: UUID, student: UUID, essay: UUID
) -> UUID:
    delivery = deliver(class_id, result(suggest(student, 0.9), essay_id=essay, filename="x.txt"))
    await store_one(stores, delivery)
    batch_id = delivery.message.batch_id
    decided = [HumanDecision(essay, confirmed=True)]
    await stores.associations.confirm(teacher, batch_id, decided)
    await stores.classes.delete_class(teacher, class_id)
    return batch_id


def wire(class_id: UUID, student: UUID) -> dict[str, Any]:
    """Return a message with match results as other services send it."""
    suggestion = {
        "student_id": str(student),
        "student_name": f"{FIRST} {LAST}",
        "student_email": EMAIL,
        "confidence_score": 0.9,
        "match_reasons": [f"{FIRST} {LAST}"],
    }
    essay = {
        "essay_id": str(new_id()),
        "filename": f"{FIRST}.docx",
        "suggestions": [suggestion, {"student_id": str(new_id()), "confidence_score": 0.2}],
    }
    data = {"batch_id": str(new_id()), "class_id": str(class_id), "match_results": [essay]}
    return {
        "event_id": str(new_id()),
        "event_type": topics.MATCHES_SUGGESTED,
        "correlation_id": str(new_id()),
        "data": data,
    }


async def _parked(stores: Stores, class_id: UUID, student: UUID) -> None:
    """Park a message: one of its students does not exist yet."""
    message = wire(class_id, student)
    unknown = UUID(message["data"]["match_results"][0]["suggestions"][1]["student_id"])
    delivery = deliver(class_id, result(suggest(unknown)))
    record: Record = replace(delivery.record, value=orjson.dumps(message))
    assert await store_one(stores, replace(delivery, record=record)) is Outcome.PARKED


async def _set_aside(dsn: str, student: UUID) -> None:
    """Set a notification aside, as the relay does with what the broker refuses."""
    text = f"{FIRST} {LAST} was added."
    payload = {"student_id": str(student), "student_name": f"{FIRST} {LAST}", "message": text}
    value = orjson.dumps({"data": {"teacher_id": TEACHER, "payload": payload}})
    key = TEACHER.encode()
    row = shard_of(key), 1, topics.NOTIFICATION_REQUESTED, key, value, pack_headers([])
    async with connected(dsn) as connection:
        await connection.execute(SET_ASIDE, *row, Refusal.TOO_LARGE)


async def _imported(dsn: str, class_id: UUID, student: UUID, mate: UUID) -> None:
    """Plan an import of the student, of a line that is refused, and of one much like it."""
    file = f"{FIRST} {LAST}.csv"
    mark = NAME.first_name, NAME.last_name, NAME.legal_full_name, EMAIL, EXTERNAL
    async with connected(dsn) as connection:
        await connection.execute(IMPORT, IMPORT_ID, TEACHER, class_id, file, new_id())
        await connection.execute(MARK, student, *mark)
    await plan(dsn, class_id, student, 1, NAME_JSON, before={"email": FORMER_EMAIL})
    await plan(dsn, class_id, None, 2, {"full_name": NAME.legal_full_name, "email": EMAIL})
    notice = [{"code": "near_duplicate", "detail": f"Like {NAME.legal_full_name}."}]
    await plan(dsn, class_id, mate, 3, {"first_name": "Mate"}, notices=notice)


async def plan(
    dsn: str,
    class_id: UUID,
    student_id: UUID | None,
    number: int,
    after: dict[str, str],
    *,
    before: dict[str, str] | None = None,
    notices: list[dict[str, str]] | None = None,
) -> None:
    """Store a row of the planned import."""
    values = [
        None if one is None else orjson.dumps(one).decode() for one in (before, after, notices)
    ]
    kind = "error" if student_id is None else "updated"
    async with connected(dsn) as connection:
        await connection.execute(ROW, IMPORT_ID, number, kind, class_id, student_id, *values)


def traced(owner_id: str) -> Caller:
    """Return a caller of a new request."""
    return Caller(owner_id, Trace(new_id()))
