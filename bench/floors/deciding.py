"""asyncpg and aiokafka alone: what is due is decided, as fast as it goes.

`python -m bench.floors.deciding PORT BOOTSTRAP_SERVERS TOPIC`

The rows and messages are the service's, with its promises: decisions, what is remembered of them,
the batches' ends and their five messages each are committed together, and sent at least once. Two
transactions are under way, so that one is sent while the other is stored. What is left out: timers
and tables, UNKNOWN students (whoever was suggested stays, however unsure), other workers' work.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg
import orjson
import uvloop
from aiohttp import web

from bench.floors import storing
from bench.floors.server import FLOOR_DSN, serve
from bench.floors.students import message, now
from bench.packing import OPTIONS, Message, Packer
from devstack.rig.database import connected
from devstack.rig.kafka_clients import kafka_producer

ESSAYS_AT_ONCE: Final = 1_000
UNDER_WAY: Final = 2
IDLE_SECONDS: Final = 0.005

#: Whole batches, of which something is due. A row for each, with the parts of its events that name
#: each essay.
DECIDE: Final = """
with due as materialized (
    select id, class_id, correlation_id from batches where id in (
        select batch_id from associations
        where status = 'pending_validation' and confirm_by <= now()
        order by confirm_by, batch_id limit $1 offset $2
    ) order by id for update skip locked
), decided as (
    update associations set status = 'timeout_confirmed', method = 'timeout',
        student_id = suggested_student_id, validated_by = 'SYSTEM_TIMEOUT', validated_at = now()
    from due
    where batch_id = due.id and status = 'pending_validation' and confirm_by <= now()
    returning essay_id, batch_id, associations.student_id, confidence, due.class_id,
        due.correlation_id
), closed as (
    update batches set closed_at = now(), timeout_triggered = true
    where id in (select batch_id from decided)
), told as (
    select decided.*, classes.owner_id, classes.course_code, first_name, last_name, email
    from decided
    join classes on classes.id = decided.class_id
    join students on students.id = decided.student_id
), remembered as (
    insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user,
        correlation_id, before, after)
    select owner_id, 'association', essay_id, class_id, 'updated', null, 'SYSTEM_TIMEOUT',
        correlation_id, '{"student_id":null,"validation_status":"pending_validation",
"validation_method":null,"validated_by":null}',
        concat('{"student_id":"', student_id, '","validation_status":"timeout_confirmed",',
            '"validation_method":"timeout","validated_by":"SYSTEM_TIMEOUT"}')::json
    from told
)
select batch_id::text, class_id::text, correlation_id::text, owner_id, course_code,
    count(*) as essays,
    string_agg(concat('{"essay_id":"', essay_id, '","student_id":"', student_id,
        '","confidence_score":', confidence, ',"validation_method":"timeout",',
        '"validated_by":"SYSTEM_TIMEOUT","validated_at":"', to_json(now()) #>> '{}', '"}'), ',')
        as confirmed,
    string_agg(concat('{"essay_id":"', essay_id, '","student_first_name":', to_json(first_name),
        ',"student_last_name":', to_json(last_name), ',"student_email":', to_json(email),
        ',"confidence_score":', confidence, ',"is_confirmed":true}'), ',') as kept
from told group by batch_id, class_id, correlation_id, owner_id, course_code
"""

CONFIRMED: Final = (
    '{{"event_name":"student.associations.confirmed","entity_id":"{batch}","entity_type":"batch",'
    '"parent_id":null,"timestamp":"{at}","batch_id":"{batch}","class_id":"{cls}",'
    '"course_code":{course},"associations":[{confirmed}],"timeout_triggered":true,'
    '"validation_summary":{totals}}}'
)
PROCESSED: Final = (
    '{{"event_name":"validation.timeout.processed","entity_id":"{batch}","entity_type":"batch",'
    '"parent_id":null,"timestamp":"{at}","batch_id":"{batch}","user_id":{owner},'
    '"timeout_hours":24.0,"timeout_seconds":86400.0,"auto_confirmed_associations":[{kept}],'
    '"guest_essays":[],"guest_class_created":false,"guest_class_id":null,'
    '"processing_timestamp":"{at}"}}'
)
TOLD: Final = (
    '{{"teacher_id":{owner},"notification_type":"{kind}","category":"student_workflow",'
    '"priority":"{priority}","payload":{{"batch_id":"{batch}",{payload}}},"action_required":false,'
    '"deadline_timestamp":null,"correlation_id":"{correlation}","batch_id":"{batch}",'
    '"class_id":"{cls}","timestamp":"{at}"}}'
)
TOTALS: Final = (
    '{{"total_associations":{essays},"confirmed":{essays},"rejected":0,"human":0,"auto":0,'
    '"timeout":{essays}}}'
)


class Decider:
    """Decides batches in one of several loops beside each other."""

    def __init__(self, dsn: str, packer: Packer, topic: str, behind: int) -> None:
        """`behind`: how many pieces of what is due the others are at."""
        self._behind = behind
        self._dsn = dsn
        self._packer = packer
        self._topic = topic
        self._sent: list[int] = []

    async def run(self) -> None:
        """Decide until cancelled."""
        place = self._behind
        async with connected(self._dsn) as connection:
            while True:
                sent, self._sent = self._sent, []
                async with connection.transaction():
                    if sent:
                        await connection.execute(storing.DELETE_PACKS, sent)
                    offset = place * ESSAYS_AT_ONCE
                    found = await connection.fetch(DECIDE, ESSAYS_AT_ONCE, offset)
                    messages = [m for row in found for m in _messages(row, self._topic)]
                    pack = await storing.put(connection, messages) if found else None
                if pack:
                    await self._packer.send(pack.messages)
                    self._sent += pack.ids
                else:
                    place = 0 if place else self._behind
                    await asyncio.sleep(IDLE_SECONDS)


def _messages(row: "asyncpg.Record", topic: str) -> Iterator[Message]:
    at = now()
    batch, cls, correlation, owner, course, essays, confirmed, kept = row
    totals = TOTALS.format(essays=essays)
    same: dict[str, Any] = {
        "batch": batch,
        "cls": cls,
        "correlation": correlation,
        "owner": orjson.dumps(owner).decode(),
        "at": at,
    }
    key = batch.encode()
    event = CONFIRMED.format(
        course=orjson.dumps(course).decode(), confirmed=confirmed, totals=totals, **same
    )
    yield message(f"{topic}.confirmed", key, event, correlation, at)
    event = PROCESSED.format(kept=kept, **same)
    yield message(f"{topic}.processed", key, event, correlation, at)
    for kind, priority, payload in _notifications(essays, totals):
        told = TOLD.format(kind=kind, priority=priority, payload=payload, **same)
        yield message(f"{topic}.notified", owner.encode(), told, correlation, at)
    cleared = f'{{"event":"cleared","batch_id":"{batch}"}}'
    yield message(f"{topic}.timers", key, cleared, correlation, at)


def _notifications(essays: int, totals: str) -> Sequence[tuple[str, str, str]]:
    clock = (
        f'"auto_confirmed_count":{essays},"timeout_hours":24.0,'
        f'"message":"Nobody decided within 24 hours: {essays} suggestions were kept."'
    )
    end = (
        f'"confirmed_count":{essays},"validation_summary":{totals},"timeout_triggered":true,'
        f'"message":"All {essays} essays of the batch are decided."'
    )
    return (
        ("validation_timeout_processed", "immediate", clock),
        ("student_associations_confirmed", "high", end),
    )


async def main(port: int, servers: str, topic: str, dsn: str) -> None:
    """Decide until SIGTERM."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    async with (
        kafka_producer(servers, **OPTIONS) as producer,
        connected(dsn) as connection,
        asyncio.TaskGroup() as tasks,
    ):
        packer = Packer(producer)
        left = await storing.left(connection)
        await packer.send(left.messages)
        await connection.execute(storing.DELETE_PACKS, left.ids)
        deciders = [Decider(dsn, packer, topic, behind) for behind in range(UNDER_WAY)]
        running = [tasks.create_task(one.run()) for one in deciders]
        await serve(web.Application(), port)
        for one in running:
            one.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], os.environ[FLOOR_DSN]))
