"""The floor of the clock's decisions: one statement, repeated."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import uvloop

from bench import seed
from devstack.rig.database import connected

LEAD_SECONDS: Final = 1.0  # from storing the rows to the first deadline
GRACE_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.001

_BATCHES: Final = """
insert into batches (id, class_id, correlation_id)
select id, $2, id from unnest($1::uuid[]) as id
"""
_ASSOCIATIONS: Final = """
insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
    status, confirm_by)
select gen_random_uuid(), id, $2, 0.92, '{email_exact}', 'pending_validation',
    now() + make_interval(secs => $3::float8 + $4::float8 * (position - 1) / cardinality($1))
from unnest($1::uuid[]) with ordinality as batch (id, position)
"""
_DECIDE: Final = """
update associations set status = 'timeout_confirmed', method = 'timeout',
    student_id = suggested_student_id, validated_by = 'SYSTEM_TIMEOUT', validated_at = now()
where status = 'pending_validation' and confirm_by <= now()
returning extract(epoch from validated_at - confirm_by)::float8 as seconds
"""
#: So that the loop decides only its own rows.
_FORGET: Final = "delete from associations where status = 'pending_validation'"


@dataclass(frozen=True)
class ClockLoad:
    """How many deadlines, and the time over which they are spread."""

    dsn: str
    timeouts: int
    spread_seconds: float


def decide(load: ClockLoad) -> list[float]:
    """Decide rows as they fall due; return how late each was, in seconds, ascending."""
    return uvloop.run(_decide(load))


async def _decide(load: ClockLoad) -> list[float]:
    ids = [uuid4() for _ in range(load.timeouts)]
    late: list[float] = []
    async with connected(load.dsn) as connection:
        await connection.execute(_FORGET)
        await connection.execute(_BATCHES, ids, seed.class_id(0))
        spread = load.spread_seconds
        await connection.execute(_ASSOCIATIONS, ids, seed.student_id(0), LEAD_SECONDS, spread)
        give_up = time.monotonic() + LEAD_SECONDS + spread + GRACE_SECONDS
        while len(late) < load.timeouts and time.monotonic() < give_up:
            late += [row["seconds"] for row in await connection.fetch(_DECIDE)]
            await asyncio.sleep(PAUSE_SECONDS)
        return sorted(late)
