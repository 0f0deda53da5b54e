"""What the broker refuses for good."""

from typing import Final

from store.postgres.advisory import AdvisoryLock

#: Before their packs go.
SET_ASIDE: Final = """
insert into outbox_set_aside (shard, id, topic, key, value, headers, created_at, reason)
select shard, message.id, topic, key, value, headers, pack.created_at, reason
from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[],
    $7::bytea[], $8::text[])
    as message (shard, pack, id, topic, key, value, headers, reason)
join outbox_packs as pack using (shard) where pack.id = message.pack
"""

REFUSED: Final = """
select id, topic, key, headers, reason, set_aside_at,
    coalesce(octet_length(value), 0) as value_size,
    (select count(*) from outbox_set_aside as behind
        where behind.shard = refused.shard and behind.topic = refused.topic
            and sha256(behind.key) = sha256(refused.key) and behind.reason is null) as waiting
from outbox_set_aside as refused
where reason is not null
order by set_aside_at, id
"""

COUNT_SET_ASIDE: Final = """
select count(*) filter (where reason is not null) as refused,
    count(*) filter (where reason is null) as waiting
from outbox_set_aside
"""

#: Waits until no relay has the lease of these messages' shards, and takes the leases.
AWAIT_SHARDS: Final = f"""
select shard, pg_advisory_xact_lock({AdvisoryLock.SHARDS}, shard::integer) from (
    select distinct shard from outbox_set_aside where id = any($1::bigint[]) order by shard
) as shards
"""

#: Which of the given messages are refused, and what leaves with each: itself, and all behind it.
#: Only of the shards $2: what has been refused since these were awaited may be in another one.
_ENDED: Final = """
with ended as (
    select shard, id, topic, sha256(key) as digest from outbox_set_aside
    where id = any($1::bigint[]) and shard = any($2::smallint[]) and reason is not null
), leaving as (
    delete from outbox_set_aside where (shard, id) in (
        select shard, id from ended
        union
        select behind.shard, behind.id from ended
        join outbox_set_aside as behind on behind.shard = ended.shard
            and behind.topic = ended.topic and sha256(behind.key) = ended.digest
    )
    returning *
), put_back as (
    insert into outbox_packs (shard, id, messages, content, created_at) overriding system value
    select shard, id, 1, outbox_piece(topic, key, value, headers), created_at
    from leaving {of_these}
)
select id from ended order by id
"""

RETRY_REFUSED: Final = _ENDED.format(of_these="")

DROP_REFUSED: Final = _ENDED.format(of_these="where reason is null")
