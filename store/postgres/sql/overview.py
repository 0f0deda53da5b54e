"""What operators look at every few seconds."""

from typing import Final

from rules import shards
from store.postgres.sql import fragments

#: At most $1 parked messages are counted.
OVERVIEW: Final = """
select now() as now, parked.*,
    (select count(*) from batches where closed_at is null) as open_batches
from (
    select count(*) as parked, min(deadline) as parked_deadline
    from (select deadline from parked order by id limit $1) as first_rows
) as parked
"""

#: The messages of the first $1 packs of each shard.
OUTBOX_BY_SHARD: Final = f"""
select shard, counted.* from generate_series(0, {shards.SHARDS - 1}) as one (shard)
cross join lateral (
    select sum(messages)::bigint as waiting, min(created_at) as since, count(*) = $1 as is_more
    from (
        select messages, created_at from outbox_packs where outbox_packs.shard = one.shard::smallint
        order by id limit $1
    ) as first_packs
) as counted
where waiting > 0 order by shard
"""

#: The index has them in this order: nothing is sorted but the hours. What has
#: been due for $1 has none.
DUE_BY_HOUR: Final = f"""
select case when confirm_by > now() - $1::interval
        then date_trunc('hour', greatest(confirm_by, now()), 'UTC') end as hour,
    count(distinct batch_id) as batches, sum(essays)::bigint as essays
from (
    select confirm_by, batch_id, count(*) as essays from associations where {fragments.PENDING}
    group by confirm_by, batch_id
) as due
group by hour order by hour nulls first
"""
