"""What the floors store: rows of the service's tables, and packs of what is yet to be sent.

A pack is one row for some messages, in a table of the floors' own. Rows are put there and deleted
in the transactions that store the rest.
"""

import marshal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from bench.database import Connection
from bench.packing import Message

#: At most this much, if it is not one larger message: what fits into a page is not moved out of it.
PACK_BYTES: Final = 7_500

CREATE_PACKS: Final = """
create table if not exists bench_packs (
    id bigint generated always as identity primary key,
    messages bytea not null
) with (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000);
alter table bench_packs alter messages set storage external
"""
PUT_PACKS: Final = "insert into bench_packs (messages) select unnest($1::bytea[]) returning id"
LEFT_PACKS: Final = "select id, messages from bench_packs order by id"
DELETE_PACKS: Final = "delete from bench_packs where id = any($1::bigint[])"

ENTER: Final = """
insert into inbox (id, delivery) select * from unnest($1::uuid[], $2::uuid[])
on conflict do nothing returning id
"""

#: The service's rows of new students: with the foreign keys and indexes that its tables have, and
#: what is remembered of each.
_STORE_STUDENTS: Final = """
with new as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::uuid[], $9::uuid[])
        as new (id, owner_id, first_name, last_name, legal_full_name, email, email_key, class_id,
            correlation_id)
), made as (
    insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
        keyed_email)
    select id, owner_id, first_name, last_name, legal_full_name, email, email_key, email from new
    returning *
), enrolled as (
    insert into enrollments (class_id, student_id, owner_id)
    select class_id, id, owner_id from new
), remembered as (
    insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user,
        correlation_id, before, after)
    select owner_id, 'student', id, null, 'created', 1, owner_id, correlation_id, null::json,
        concat('{"first_name":', to_json(first_name)::text, ',"last_name":',
            to_json(last_name)::text, ',"full_name":', to_json(legal_full_name)::text,
            ',"email":', to_json(email)::text, ',"is_placeholder":false}')::json
    from new
    union all
    select owner_id, 'enrollment', id, class_id, 'created', null, owner_id, correlation_id, null,
        null
    from new
)
"""
#: The same of classes.
_STORE_CLASSES: Final = """
with new as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[])
        as new (id, owner_id, name, course_code, correlation_id)
), made as (
    insert into classes (id, owner_id, name, course_code)
    select id, owner_id, name, course_code from new
    returning *
), remembered as (
    insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user,
        correlation_id, before, after)
    select owner_id, 'class', id, id, 'created', 1, owner_id, correlation_id, null,
        concat('{"name":', to_json(name)::text, ',"course_code":', to_json(course_code)::text,
            '}')::json
    from new
)
"""
#: Packs come in by one parameter, those that are sent go by the other.
_POSTED: Final = """
, packed as (
    insert into bench_packs (messages) select unnest(${0}::bytea[]) returning id
), gone as (
    delete from bench_packs where id = any(${1}::bigint[])
)
select made.*, array(select id from packed) as packs from made
"""
STORE_STUDENTS: Final = f"{_STORE_STUDENTS} select"
POST_STUDENTS: Final = _STORE_STUDENTS + _POSTED.format(10, 11)
POST_CLASSES: Final = _STORE_CLASSES + _POSTED.format(6, 7)

#: Batches of suggestions with all their associations, which are pending. A row for each of these.
STORE_SUGGESTIONS: Final = """
with new as materialized (
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[],
        $7::float8[], $8::text[], $9::timestamptz[], $10::text[], $11::jsonb[])
        as new (essay_id, batch_id, class_id, correlation_id, owner_id, student_id, confidence,
            reason, confirm_by, filename, suggestions)
), begun as (
    insert into batches (id, class_id, correlation_id)
    select distinct batch_id, class_id, correlation_id from new
), made as (
    insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
        confirm_by, status, filename, suggestions)
    select essay_id, batch_id, student_id, confidence, array[reason], confirm_by,
        'pending_validation', filename, suggestions
    from new
)
insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
    before, after)
select owner_id, 'association', essay_id, class_id, 'created', null::integer, 'SYSTEM_AUTO',
    correlation_id, null::json, null::json
from new
"""


@dataclass(frozen=True, slots=True)
class Pack:
    """Messages that are stored, with the ids of their rows."""

    ids: Sequence[int]
    messages: Sequence[Message]


async def put(connection: Connection, messages: Sequence[Message]) -> Pack:
    """Store messages until they are sent."""
    stored = await connection.fetch(PUT_PACKS, packed(messages))
    return Pack([row["id"] for row in stored], messages)


async def left(connection: Connection) -> Pack:
    """Create the table if it is not there; return what an earlier process has left in it."""
    await connection.execute(CREATE_PACKS)
    found = await connection.fetch(LEFT_PACKS)
    messages = [one for row in found for one in marshal.loads(row["messages"])]  # noqa: S302  # ours
    return Pack([row["id"] for row in found], messages)


async def enter(connection: Connection, deliveries: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Claim events by their ids, each with its delivery; return those that are new."""
    entered = await connection.fetch(ENTER, *transposed(deliveries))
    return {row["id"] for row in entered}


def transposed(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into columns."""
    return [list(column) for column in zip(*rows, strict=True)]


def packed(messages: Iterable[Message]) -> list[bytes]:
    """Return messages in packs."""
    packs: list[bytes] = []
    some: list[Message] = []
    size = 0
    for message in messages:
        length = len(message[2]) + len(message[1]) + 150
        if some and size + length > PACK_BYTES:
            packs.append(marshal.dumps(some))
            some, size = [], 0
        some.append(message)
        size += length
    return [*packs, marshal.dumps(some)] if some else packs
