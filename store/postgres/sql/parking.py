"""Suggestions that wait for their class."""

from typing import Final

HELD_BATCHES: Final = "select distinct batch_id from parked where batch_id = any($1::uuid[])"

PARK: Final = """
insert into parked (event_id, batch_id, topic, partition, "offset", timestamp_ms,
    key, value, headers, next_try_at, deadline)
select event_id, batch_id, topic, partition, "offset", timestamp_ms, key, value, headers,
    now() + make_interval(secs => $10), now() + make_interval(secs => $11)
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[],
    $7::bytea[], $8::bytea[], $9::bytea[]) with ordinality
    as new (event_id, batch_id, topic, partition, "offset", timestamp_ms, key, value, headers,
        position)
order by position
"""

#: Due messages and all others of their batches, which so keep their order.
LOCK_PARKED: Final = """
select event_id, topic, partition, "offset", timestamp_ms, key, value, headers, attempts,
    deadline <= now() as expired
from parked
where batch_id in (
    select batch_id from parked where next_try_at <= now()
    group by batch_id order by min(id) limit $1
)
order by id for update skip locked
"""

POSTPONE_PARKED: Final = """
update parked set attempts = attempts + 1,
    next_try_at = now() + make_interval(secs => tried.pause)
from unnest($1::uuid[], $2::float8[]) as tried (event_id, pause)
where parked.event_id = tried.event_id
"""

UNPARK: Final = "delete from parked where event_id = any($1::uuid[])"
