"""What waits to be published."""

from typing import Final

from rules import packs, shards
from store.postgres.advisory import AdvisoryLock
from store.postgres.sql import fragments

#: After so long without a word from a worker its leases end: a few of the relay's KEEP_SECONDS.
LEASE_IDLE: Final = "15s"

#: The last step of every change. The order of the packs is the order of the ids.
INSERT_PACKS: Final = """
insert into outbox_packs (shard, messages, content)
select shard, messages, content
from unnest($1::smallint[], $2::integer[], $3::bytea[])
    with ordinality as pack (shard, messages, content, position)
order by position
"""

#: Takes the leases of those of $1 in which something waits and that nobody else has: at most $2, in
#: their order, and not more than are fetched together. They end with the transaction, so a lease
#: cannot outlive its worker, nor one that hangs or whose machine is gone keep the shards for long.
#: The limit is a subquery so that the plan is kept: with a number it is made anew each time.
LEASE_SHARDS: Final = f"""
select shard from (
    select shard from (
        select shard, sum(size) over (order by place) - size as before
        from unnest($1::integer[]) with ordinality as one (shard, place)
        cross join lateral (
            select octet_length(content) as size from outbox_packs as pack
            where pack.shard = one.shard::smallint order by id limit 1
        ) as first_pack
    ) as sized
    where before < {packs.LEASED_BYTES}
    offset 0
) as waiting
where pg_try_advisory_xact_lock({AdvisoryLock.SHARDS}, shard)
    and (select set_config('idle_in_transaction_session_timeout', '{LEASE_IDLE}', true)) is not null
limit (select $2::integer)
"""

#: The first packs of the shards whose bits are set in $1. It is a statement of its own, after the
#: leases: who had them before has committed. Bits, since with an array the plan is made anew.
FETCH_PACKS: Final = f"""
select pack.shard, pack.id, pack.content,
    (select id from outbox_set_aside order by shard, id limit 1) is not null as some_set_aside
from generate_series(0, {shards.SHARDS - 1}) as leased (shard)
cross join lateral (
    select shard, id, content,
        sum(octet_length(content)) over (order by id) as size
    from (
        select shard, id, content from outbox_packs where shard = leased.shard::smallint
        order by id limit {packs.FETCHED_PACKS}
    ) as first_packs
) as pack
where $1::integer >> leased.shard & 1 = 1
    and (size <= {packs.FETCHED_BYTES} or size = octet_length(content))
order by pack.shard, pack.id
"""

#: An id is one pack's; the shards are named for the index.
DELETE_PACKS: Final = """
delete from outbox_packs where shard = any($1::smallint[]) and id = any($2::bigint[])
"""

#: Which messages have an earlier one of their topic and key set aside; without a key none has.
HELD: Final = """
select place from unnest($1::smallint[], $2::text[], $3::bytea[])
    with ordinality as message (shard, topic, key, place)
where exists (
    select from outbox_set_aside as earlier
    where earlier.shard = message.shard and earlier.topic = message.topic
        and sha256(earlier.key) = sha256(message.key)
)
"""

#: On it processes without a relay announce that they committed something to publish.
CHANNEL: Final = "class_management_outbox"

ANNOUNCE_COMMIT: Final = f"notify {CHANNEL}"

BACKLOG: Final = f"""
select
    coalesce(sum(messages), 0)::bigint as outbox_depth,
    coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as outbox_age,
    (select count(*) from associations where {fragments.PENDING}) as pending,
    (select count(*) from parked) as parked
from outbox_packs
"""
