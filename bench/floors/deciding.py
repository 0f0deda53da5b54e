"""asyncpg and aiokafka alone: what is due is decided, stored and told as the service does it.

Nothing is judged: each essay keeps the student that was suggested. A thousand essays are a
transaction, of which there are two at a time, and each sends its messages while the next is stored.

`python -m bench.floors.deciding PORT BOOTSTRAP_SERVERS TOPIC`
"""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import uvloop
from aiohttp import web
from uuid_utils import uuid7

from bench.database import Connection
from bench.floors import storing
from bench.floors.command_messages import ENVELOPE
from bench.floors.server import FLOOR_DSN, serve
from bench.floors.storing import Pack
from bench.packing import OPTIONS, Message, Packer
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer

ESSAYS_AT_ONCE: Final = 1000
PAUSE_SECONDS: Final = 0.01

DECIDE: Final = """
with due as (
    select distinct batch_id from (
        select batch_id from associations
        where status = 'pending_validation' and confirm_by <= now()
        order by confirm_by, batch_id limit $1 offset $2
    ) as soonest
), locked as (
    select batches.id, class_id, correlation_id, owner_id, course_code
    from batches join classes on classes.id = class_id
    where batches.id in (select batch_id from due) and closed_at is null
    for update of batches skip locked
), decided as (
    update associations set status = 'timeout_confirmed', method = 'timeout',
        student_id = suggested_student_id, validated_by = 'SYSTEM_TIMEOUT', validated_at = now()
    from locked
    where batch_id = locked.id and status = 'pending_validation' and confirm_by <= now()
    returning essay_id, student_id, confidence, validated_at, locked.*
), closed as (
    update batches set closed_at = now() from locked where batches.id = locked.id
), remembered as (
    insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user,
        correlation_id, before, after)
    select owner_id, 'association', essay_id, class_id, 'updated', null, 'SYSTEM_TIMEOUT',
        correlation_id, '{"student_id":null,"validation_status":"pending_validation"}',
        concat('{"student_id":"', student_id, '","validation_status":"timeout_confirmed"}')::json
    from decided
)
select decided.*, first_name, last_name, email
from decided join students on students.id = student_id order by decided.id
"""

CONFIRMED: Final = (
    '{{"event_name":"student.associations.confirmed","entity_id":"{id}","entity_type":"batch",'
    '"parent_id":null,"timestamp":"{at}","batch_id":"{id}","class_id":"{class_id}",'
    '"course_code":"{course}","associations":[{essays}],"timeout_triggered":true,'
    '"validation_summary":{{"total_associations":{count},"confirmed":{count},"rejected":0,'
    '"human":0,"timeout":{count},"auto":0}}}}'
)
ESSAY: Final = (
    '{{"essay_id":"{essay}","student_id":"{student}","confidence_score":{confidence},'
    '"validation_method":"timeout","validated_by":"SYSTEM_TIMEOUT","validated_at":"{at}"}}'
)
TIMEOUT: Final = (
    '{{"event_name":"validation.timeout.processed","entity_id":"{id}","entity_type":"batch",'
    '"parent_id":null,"timestamp":"{at}","batch_id":"{id}","user_id":"{owner}",'
    '"timeout_hours":24,"timeout_seconds":86400,"auto_confirmed_associations":[{kept}],'
    '"guest_essays":[],"guest_class_created":false,"guest_class_id":null,'
    '"processing_timestamp":"{at}"}}'
)
KEPT: Final = (
    '{{"essay_id":"{essay}","student_first_name":"{first}","student_last_name":"{last}",'
    '"student_email":"{email}","confidence_score":{confidence},"is_confirmed":true}}'
)
TOLD: Final = (
    '{{"teacher_id":"{owner}","notification_type":"{kind}","category":"student_workflow",'
    '"priority":"high","payload":{{"batch_id":"{id}","confirmed_count":{count},'
    '"message":"All {count} essays of the batch are decided."}},"action_required":false,'
    '"deadline_timestamp":null,"correlation_id":"{correlation_id}","batch_id":"{id}",'
    '"class_id":"{class_id}","timestamp":"{at}"}}'
)
CLEARED: Final = '{{"event":"cleared","batch_id":"{id}"}}'
#: Of each batch, with the data; the last two are the teacher's.
DATA: Final = (CLEARED, CONFIRMED, TIMEOUT, TOLD, TOLD)
TEACHERS: Final = 3
_JSON: Final = ("content-type", b"application/json")


async def decide(connection: Connection, packer: Packer, behind: int) -> None:
    """Decide until cancelled what is due behind so many pieces, which others are at."""
    sending: asyncio.Task[None] | None = None
    sent = Pack([], [])
    place = behind
    while True:
        async with connection.transaction():
            rows = await connection.fetch(DECIDE, ESSAYS_AT_ONCE, place * ESSAYS_AT_ONCE)
            stored = await storing.put(connection, list(_messages(rows)))
            if sending is not None:
                await sending
                await connection.execute(storing.DELETE_PACKS, sent.ids)
        sending, sent = asyncio.create_task(packer.send(stored.messages)), stored
        if not rows:
            place = 0 if place else behind
            await asyncio.sleep(PAUSE_SECONDS)


def _messages(rows: Sequence[Any]) -> Iterator[Message]:
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for batch_id, some in groupby(rows, lambda row: row["id"]):
        essays = list(some)
        values = _values(str(batch_id), essays, at)
        for number, data in enumerate(DATA):
            key = values["owner"] if number >= TEACHERS else values["id"]
            yield _message(key, data.format_map(values), values)


def _values(batch_id: str, essays: Sequence[Any], at: str) -> dict[str, str]:
    first = essays[0]
    each = [
        {
            "essay": str(row["essay_id"]),
            "student": str(row["student_id"]),
            "confidence": str(row["confidence"]),
            "first": row["first_name"],
            "last": row["last_name"],
            "email": row["email"],
            "at": at,
        }
        for row in essays
    ]
    return {
        "id": batch_id,
        "class_id": str(first["class_id"]),
        "owner": first["owner_id"],
        "course": first["course_code"],
        "correlation_id": str(first["correlation_id"]),
        "at": at,
        "kind": "student_associations_confirmed",
        "count": str(len(essays)),
        "essays": ",".join(map(ESSAY.format_map, each)),
        "kept": ",".join(map(KEPT.format_map, each)),
    }


def _message(key: str, data: str, values: dict[str, str]) -> Message:
    event_id = str(uuid7())
    topic = sys.argv[3]
    text = ENVELOPE.format(
        event_id=event_id,
        topic=topic,
        at=values["at"],
        correlation_id=values["correlation_id"],
        data=data,
    )
    headers = [
        ("event_id", event_id.encode()),
        ("event_type", topic.encode()),
        ("correlation_id", values["correlation_id"].encode()),
        _JSON,
    ]
    return topic, key.encode(), text.encode(), headers


async def main(port: int, servers: str, dsn: str) -> None:
    """Decide until SIGTERM."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    async with (
        kafka_producer(servers, **OPTIONS) as producer,
        connected(dsn) as one,
        connected(dsn) as other,
        asyncio.TaskGroup() as tasks,
    ):
        packer = Packer(producer)
        left = await storing.left(one)
        await packer.send(left.messages)
        await one.execute(storing.DELETE_PACKS, left.ids)
        deciding = [
            tasks.create_task(decide(connection, packer, behind))
            for behind, connection in enumerate((one, other))
        ]
        await serve(web.Application(), port)
        for task in deciding:
            task.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], os.environ[FLOOR_DSN]))
