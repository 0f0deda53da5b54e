"""Batches as teachers see them."""

from typing import Final

from rules.models import Status
from store.postgres.sql import fragments

#: The current names of the students in the class who are suggested in `page`, as an object: each
#: is looked up once, however many essays it is suggested for.
_SUGGESTED_NAMES: Final = f"""
select json_object_agg(students.id, students.legal_full_name)
from (
    select distinct (suggestion ->> 'student_id')::uuid as student_id
    from page cross join jsonb_array_elements(page.suggestions) as suggestion
) as suggested
join enrollments on enrollments.student_id = suggested.student_id
    and enrollments.class_id = (select class_id from batch)
cross join {fragments.ENROLLED}
"""


def _shown(condition: str) -> str:
    """Return a read of the owner's ($2) batch $1 with the associations that meet a condition.

    Where there are none it is one row of nulls. The names come with the first row alone.
    """
    return f"""
with batch as (
    select batches.class_id, batches.closed_at, now() as now, (
        select coalesce(min(confirm_by) filter (where {fragments.PENDING}), max(confirm_by))
        from associations where associations.batch_id = batches.id
    ) as open_until
    from batches join classes on classes.id = batches.class_id
    where batches.id = $1 and classes.owner_id = $2
), page as materialized (
    select {fragments.ASSOCIATION_COLUMNS}, associations.filename, associations.suggestions
    from associations where associations.batch_id = $1 and {condition}
)
select batch.class_id, batch.closed_at, batch.now, batch.open_until, page.*,
    students.legal_full_name as student_name,
    case when row_number() over (order by page.created_at, page.essay_id) = 1
        then ({_SUGGESTED_NAMES}) end as names
from batch
left join page on true
left join students on students.id = coalesce(page.student_id, page.suggested_student_id)
order by page.created_at, page.essay_id
"""


#: At most $3 and one more, behind the place ($4, $5).
GET_BATCH: Final = _shown("""
    ($4::timestamptz is null or (associations.created_at, associations.essay_id) > ($4, $5::uuid))
    order by associations.created_at, associations.essay_id limit $3::bigint + 1
""")

GET_ASSOCIATION: Final = _shown("associations.essay_id = $3")

#: A page of an owner's ($1) batches, of the class $2 if it is given, at most $3 and one more.
#: Pending ones are behind ($5, $6) if $4, closed ones behind ($8, $9) if $7: each part by itself
#: reads no more than the page, of every class, and what is counted is counted of the page alone.
#: From the confidence $10 on the clock keeps a suggestion.
#: One row of nulls where there are none.
LIST_BATCHES: Final = f"""
with owned as (
    select id, name, course_code from classes
    where owner_id = $1 and ($2::uuid is null or id = $2)
), pending as (
    select batches.id, batches.class_id, batches.created_at, batches.closed_at, soonest.at
    from owned
    join batches on batches.class_id = owned.id and batches.closed_at is null
    cross join lateral (
        select coalesce(min(confirm_by), batches.created_at) as at from associations
        where associations.batch_id = batches.id and {fragments.PENDING}
    ) as soonest
    where $4::boolean
        and ($5::timestamptz is null or (soonest.at, batches.id) > ($5, $6::uuid))
    order by soonest.at, batches.id limit $3::bigint + 1
), closed as (
    select latest.* from owned cross join lateral (
        select id, class_id, created_at, closed_at from batches
        where batches.class_id = owned.id and closed_at is not null
            and (closed_at, id)
                < (coalesce($8::timestamptz, 'infinity'), coalesce($9, {fragments.LAST_ID}))
        order by closed_at desc, id desc limit $3 + 1
    ) as latest
    where $7::boolean
    order by closed_at desc, id desc limit $3 + 1
), page as (
    select * from (
        select id, class_id, created_at, closed_at, row_number() over (order by at, id) as place
        from pending
        union all
        select id, class_id, created_at, closed_at,
            $3 + 1 + row_number() over (order by closed_at desc, id desc)
        from closed
    ) as both_parts
    order by place limit $3 + 1
)
select clock.now, page.id as batch_id, page.class_id, owned.name as class_name, owned.course_code,
    page.created_at, page.closed_at, counted.total, counted.pending, counted.unmatched,
    counted.certain, counted.confirm_by
from (select now() as now) as clock
left join page on true
left join owned on owned.id = page.class_id
left join lateral (
    select count(*) as total, count(*) filter (where {fragments.PENDING}) as pending,
        count(*) filter (where {fragments.PENDING} and suggested_student_id is null) as unmatched,
        count(*) filter (where {fragments.PENDING} and suggested_student_id is not null
            and confidence >= $10::float8) as certain,
        min(confirm_by) filter (where {fragments.PENDING}) as confirm_by
    from associations where associations.batch_id = page.id
) as counted on true
order by page.place
"""

VALIDATION_STATUS: Final = f"""
select batches.id as batch_id, counted.*
from batches
cross join lateral (
    select count(*) filter (where {fragments.PENDING}) as pending,
        min(confirm_by) filter (where {fragments.PENDING}) as confirm_by,
        count(*) as total,
        count(*) filter (where status in ('{Status.CONFIRMED}', '{Status.TIMEOUT_CONFIRMED}'))
            as confirmed
    from associations where associations.batch_id = batches.id
) as counted
where batches.id = any($1::uuid[])
"""
