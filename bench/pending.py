"""Associations that wait for the clock, stored with SQL, and the timers for a worker."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from bench import seed
from bench.database import Connection
from bench.http_load import LoadError
from bench.kafka import producing
from devstack.http_client import ask
from devstack.rig.waiting import until
from rules import topics
from rules.events import timers
from rules.models import PendingBatch, Trace

POLL_SECONDS: Final = 0.1
ARMED_SECONDS: Final = 60.0

_FORGET: Final = "delete from associations where status = 'pending_validation'"
_BATCHES: Final = """
insert into batches (id, class_id, correlation_id)
select gen_random_uuid(), ('bbbbbbbb-0000-4000-8000-' || lpad(to_hex(n % $3), 12, '0'))::uuid, $1
from generate_series(0, $2::integer - 1) as n
"""
#: Nine in ten essays are sure enough to keep their student.
_ASSOCIATIONS: Final = """
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
    status, confirm_by)
select gen_random_uuid(), batch.id, enrollments.student_id,
    case when essay % 10 = 9 then 0.5 else 0.92 end, '{email_exact}', 'pending_validation',
    $2::timestamptz + make_interval(secs => $3::float8 * (batch.number - 1) / batch.batches)
from (
    select id, class_id, row_number() over (order by id) as number, count(*) over () as batches
    from batches where correlation_id = $1
) as batch
cross join generate_series(0, $4::integer - 1) as essay
cross join lateral (
    select student_id from enrollments where class_id = batch.class_id
    order by student_id offset essay % $5::integer limit 1
) as enrollments
"""
_TIMERS: Final = """
select batches.id, batches.class_id, count(*) as pending, min(confirm_by) as confirm_by
from batches join associations on associations.batch_id = batches.id
where correlation_id = $1 group by batches.id
"""
_DEADLINE: Final = "select clock_timestamp() + make_interval(secs => $1)"
_AHEAD: Final = "select extract(epoch from $1::timestamptz - clock_timestamp())::float8"


@dataclass(frozen=True)
class PendingLoad:
    """How many associations, in which batches, and when they fall due."""

    dsn: str
    batches: int
    essays: int
    """In each batch."""
    lead_seconds: float
    """From now to the first deadline: enough time to store rows and set timers."""
    spread_seconds: float = 0.0
    """From the first deadline to the last; 0: all at the same instant."""
    service: "Service | None" = None
    """The service that decides them; None: a floor, which needs no timers."""


@dataclass(frozen=True)
class Service:
    """A running worker, and how its timers are set."""

    port: int
    internal_key: str
    bootstrap_servers: str


@dataclass(frozen=True)
class Pending:
    """The stored batches, with their own correlation id."""

    correlation_id: UUID
    first_deadline: datetime


async def prepare(connection: Connection, load: PendingLoad) -> Pending:
    """Store associations and set their timers. Raises LoadError if that takes too long."""
    mark = uuid4()
    if load.service is None:
        await connection.execute(_FORGET)  # so that the floor decides only its own rows
    deadline = await connection.fetchval(_DEADLINE, load.lead_seconds)
    await connection.execute(_BATCHES, mark, load.batches, seed.CLASSES)
    spread, size = load.spread_seconds, seed.CLASS_SIZE
    await connection.execute(_ASSOCIATIONS, mark, deadline, spread, load.essays, size)
    await connection.execute("vacuum analyze associations, batches")
    if load.service is not None:
        await _arm(connection, load.service, mark)
    if await seconds_until(connection, deadline) < 0:
        raise LoadError("the deadlines came before all timers were set")
    return Pending(mark, deadline)


async def seconds_until(connection: Connection, moment: datetime) -> float:
    """Return how far off a moment is by PostgreSQL's clock."""
    ahead: float = await connection.fetchval(_AHEAD, moment)
    return ahead


async def _arm(connection: Connection, service: Service, mark: UUID) -> None:
    """Set the timers with the service's own messages, and wait until it has them."""
    rows = await connection.fetch(_TIMERS, mark)
    before = await asyncio.to_thread(_entries, service)

    async def armed() -> bool:
        return await asyncio.to_thread(_entries, service) >= before + len(rows)

    async with producing(service.bootstrap_servers, topics.TIMERS) as producer:
        sent = []
        for row in rows:
            batch = PendingBatch(row["id"], row["class_id"], row["pending"], row["confirm_by"])
            message = timers.armed(batch, Trace(mark), row["confirm_by"])
            headers = list(message.headers)
            sent.append(
                await producer.send(message.topic, message.value, message.key, headers=headers)
            )
        await asyncio.gather(*sent)
    await until(
        f"{len(rows)} more timers", armed, pause_seconds=POLL_SECONDS, limit_seconds=ARMED_SECONDS
    )


def _entries(service: Service) -> int:
    """Return how many timers the service has."""
    (table,) = tables_of(service.port, service.internal_key)["tables"]
    entries: int = table["entries"]
    return entries


def tables_of(port: int, internal_key: str, query: str = "") -> Any:  # noqa: ANN401  # JSON
    """Return a worker's answer about its tables. Raises LoadError if there is none."""
    headers = {"X-Internal-API-Key": internal_key, "X-Service-ID": "bench"}
    answer = ask(port, f"/internal/v1/tables{query}", headers=headers, timeout=30)
    if not answer.is_ok:
        raise LoadError(answer.text)
    return json.loads(answer.body)
