"""Batches of which everything is decided."""

from typing import Final

from store.postgres.sql import fragments

BATCH_STATES: Final = f"""
select batches.id, batches.class_id, batches.closed_at, batches.correlation_id,
    batches.traceparent, batches.deleted_class_id, batches.timeout_triggered,
    counted.total, counted.pending, counted.confirm_by, now() as now
from batches
cross join lateral (
    select count(*) as total,
        count(*) filter (where {fragments.PENDING}) as pending,
        min(confirm_by) filter (where {fragments.PENDING}) as confirm_by
    from associations where associations.batch_id = batches.id
) as counted
where batches.id = any($1::uuid[])
order by batches.id
"""

CLOSE_BATCHES: Final = "update batches set closed_at = now() where id = any($1::uuid[])"

CLOSING_ASSOCIATIONS: Final = f"""
select closing.*, students.first_name, students.last_name, students.email, students.is_placeholder
from (
    select {fragments.CLOSING_COLUMNS} from associations where batch_id = any($1::uuid[])
) as closing
left join lateral (
    select first_name, last_name, email, is_placeholder
    from students where id = closing.student_id offset 0
) as students on true
order by closing.batch_id, closing.created_at, closing.essay_id
"""
