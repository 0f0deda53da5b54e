"""The story of a batch, for a person."""

from typing import Final

from store.postgres.sql import fragments

NAMED_BATCH: Final = """
select id as batch_id from batches where id = $1
union select batch_id from parked where batch_id = $1
union select batch_id from associations where essay_id = $1
"""

#: Batches of a correlation id, and essays stored or changed under it. No index has either.
BATCHES_OF_CORRELATION: Final = """
select batch_id, array_remove(array_agg(essay_id order by essay_id), null) as essays from (
    select id as batch_id, null::uuid as essay_id from batches where correlation_id = $1
    union
    select batch_id, essay_id from changes join associations on essay_id = entity_id
    where entity = 'association' and changes.correlation_id = $1
) as found
group by batch_id order by batch_id
"""

STORIES_OF_CLASS: Final = """
select id as batch_id, created_at, closed_at from batches where class_id = $1
order by created_at desc, id desc limit $2
"""

STORED_BATCH: Final = f"""
select batches.correlation_id, {fragments.CLASS_OF_BATCH} as class_id,
    batches.class_id is null as is_orphaned,
    coalesce(classes.owner_id, deleted.owner_id) as owner_id, batches.created_at,
    batches.closed_at, deleted.deleted_at as class_deleted_at,
    deleted.deleted_by as class_deleted_by
from batches
left join classes on classes.id = batches.class_id
left join deleted_classes as deleted
    on deleted.id = batches.deleted_class_id and batches.class_id is null
where batches.id = $1
"""

ESSAYS_OF_BATCH: Final = """
select essay_id, created_at, confirm_by, suggested_student_id is not null as is_suggested,
    suggested_student_id is null and coalesce(jsonb_array_length(suggestions), 0) > 0
        as was_suggested
from associations where batch_id = $1 order by created_at, essay_id
"""

#: Every decision on the essays of a batch, of each the one that stands last.
DECISIONS_OF_BATCH: Final = """
select essay_id, status, method, student_id, validated_by, validated_at from (
    select essay_id, former.number, former.status, former.method, former.student_id,
        former.validated_by, former.validated_at
    from associations join association_history as former using (essay_id) where batch_id = $1
    union all
    select essay_id, null, status, method, student_id, validated_by, validated_at
    from associations where batch_id = $1 and method is not null
) as decisions
order by essay_id, number nulls last
"""

PARKED_OF_BATCH: Final = """
select event_id, topic, partition, "offset", timestamp_ms, attempts, next_try_at, deadline
from parked where batch_id = $1 order by id
"""

_UNSENT: Final = """
select id, topic, key, headers, created_at, {set_aside_at} as set_aside_at, {reason} as reason,
    case when topic = $4::text then value end as value
from {table}
where shard = any($1::smallint[]) and (key = $2::bytea or (key = $3::bytea and topic = $4)) {also}
"""

#: Taking packs apart is slow: only those in which one of the keys is.
_WITH_KEY: Final = """
and pack = any(array(
    select id from outbox_packs where shard = any($1)
        and (position($2 in content) > 0 or position($3 in content) > 0)
))
"""

#: What waits with one of these keys, of the shards that they are in. Only what has a teacher's key
#: ($3, on the topic $4) has to be read to know what it is about.
UNSENT_OF_BATCH: Final = (
    _UNSENT.format(
        table="outbox", set_aside_at="null::timestamptz", reason="null::text", also=_WITH_KEY
    )
    + "union all"
    + _UNSENT.format(
        table="outbox_set_aside", set_aside_at="set_aside_at", reason="reason", also=""
    )
    + "order by id"
)
