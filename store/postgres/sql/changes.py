"""The changes that are remembered."""

from typing import Final

from store.postgres.sql import fragments

INSERT_CHANGES: Final = f"""
{fragments.INSERT_CHANGES}
select owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id, before, after
from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::integer[], $7::text[],
    $8::uuid[], $9::json[], $10::json[]) with ordinality
    as change (owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
        before, after, position)
order by position
"""
