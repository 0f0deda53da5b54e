"""What the timers are compared with."""

from typing import Final

from store.postgres.sql import fragments

#: Reads a few thousand essays only: in a flood there are many more. Without a class the clock has
#: nothing to decide.
OVERDUE: Final = f"""
select batch_id from (
    select batch_id, confirm_by from associations
    where {fragments.PENDING} and confirm_by <= now() - make_interval(secs => $2)
        and batch_id <> all($3::uuid[])
        and (select class_id from batches where batches.id = batch_id) is not null
    order by confirm_by limit 5000
) as longest_overdue
group by batch_id order by min(confirm_by) limit $1
"""

PENDING_BATCHES: Final = f"""
select batch_id, count(*) as pending_count, min(confirm_by) as confirm_by,
    (select class_id from batches where batches.id = batch_id) as class_id
from associations
where {fragments.PENDING} and ($1::uuid is null or batch_id > $1)
group by batch_id
having (select class_id from batches where batches.id = batch_id) is not null
order by batch_id limit $2
"""
