"""Answers kept for requests with a key."""

from typing import Final

from rules import idempotency
from store.postgres.advisory import AdvisoryLock

#: Held until the transaction ends. Two keys with one hash only wait for each other.
LOCK_KEYS: Final = f"""
select pg_try_advisory_xact_lock(
    {AdvisoryLock.IDEMPOTENCY_KEYS}, hashtext(concat_ws(' ', owner_id, key))
) as locked
from unnest($1::text[], $2::text[]) with ordinality as wanted (owner_id, key, position)
order by position
"""

_KEPT: Final = f"interval '{idempotency.KEPT.total_seconds()} seconds'"

#: Asked after LOCK_KEYS: its own snapshot would miss an answer committed while it looked.
KEPT_ANSWERS: Final = f"""
select owner_id, key, digest, status, headers, body
from unnest($1::text[], $2::text[]) as wanted (owner_id, key)
join idempotency_keys as kept using (owner_id, key)
where at > now() - {_KEPT}
"""

#: Leaves out those that have an answer in spite of the locks.
KEEP_ANSWERS: Final = f"""
insert into idempotency_keys as kept (owner_id, key, digest, status, headers, body)
select owner_id, key, digest, status, headers, body
from unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::jsonb[], $6::bytea[])
    as answer (owner_id, key, digest, status, headers, body)
on conflict (owner_id, key) do update set
    digest = excluded.digest, status = excluded.status, headers = excluded.headers,
    body = excluded.body, at = excluded.at
where kept.at <= now() - {_KEPT}
returning true
"""

#: At most $1. The time is asked again: a key may be taken anew between the two.
PURGE_KEYS: Final = f"""
delete from idempotency_keys
where at <= now() - {_KEPT} and (owner_id, key) in (
    select owner_id, key from idempotency_keys
    where at <= now() - {_KEPT} order by at limit $1
)
"""
