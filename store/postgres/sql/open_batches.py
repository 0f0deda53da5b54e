"""What becomes of pending suggestions when a student or a class is deleted."""

from typing import Final

from rules import history
from rules.models import Method, Status
from store.postgres.sql import fragments

#: The batches in which a student is still only suggested, of the classes $3 (null is all); all
#: transactions lock batches before students.
LOCK_BATCHES_SUGGESTING: Final = f"""
select id from batches
where id in (
    select batch_id from associations
    join students on students.id = associations.suggested_student_id
    where students.id = $1 and students.owner_id = $2 and {fragments.PENDING}
) and ($3::uuid[] is null or class_id = any($3::uuid[]))
order by id for update
"""

#: In the batches of the classes $2; null is all. Done by $5, in the name of the owner, $3.
WITHDRAW_SUGGESTIONS: Final = f"""
with withdrawn as (
    update associations set suggested_student_id = null, confidence = 0, match_reasons = '{{}}'
    from associations as old join batches on batches.id = old.batch_id
    where associations.essay_id = old.essay_id and associations.suggested_student_id = $1
        and associations.{fragments.PENDING}
        and ($2::uuid[] is null or batches.class_id = any($2::uuid[]))
    returning associations.essay_id, {fragments.CLASS_OF_BATCH} as class_id,
        {fragments.columns(history.SUGGESTION_MEMBERS, "associations.")},
        {fragments.old(history.SUGGESTION_MEMBERS)}
)
{fragments.INSERT_CHANGES}
select $3, 'association', essay_id, class_id, 'updated', null::integer, $5, correlation_id,
    {fragments.values(history.SUGGESTION_MEMBERS, "old_")},
    {fragments.values(history.SUGGESTION_MEMBERS)}
from withdrawn cross join unnest($4::uuid[]) as correlation_id
"""

#: Of a class that nobody knows, so nobody remembers it.
DELETE_PENDING: Final = f"""
delete from associations where batch_id = any($1::uuid[]) and {fragments.PENDING}
"""

#: In the name of $2, who deleted the class $4 of these batches, whose owner is $3.
REJECT_PENDING: Final = f"""
with rejected as (
    update associations set status = '{Status.REJECTED}', method = '{Method.HUMAN}',
        student_id = null, validated_by = $2, validated_at = now()
    where batch_id = $1 and {fragments.PENDING}
    returning essay_id, {fragments.columns(history.DECISION_MEMBERS)}
), remembered as (
    {fragments.INSERT_CHANGES}
    select $3, 'association', essay_id, $4, 'updated', null, $2, correlation_id,
        {fragments.UNDECIDED}, {fragments.values(history.DECISION_MEMBERS)}
    from rejected cross join unnest($5::uuid[]) as correlation_id
)
select count(*) from rejected
"""

LOCK_BATCHES_OF_CLASS: Final = "select id from batches where class_id = $1 order by id for update"

LOCK_BATCHES_OF_DELETED_CLASS: Final = """
select id from batches
where closed_at is null and class_id is null and deleted_class_id = $1 order by id for update
"""

#: In the order of the index `batches_open`, so that no plan reads anything else.
BATCHES_WITHOUT_CLASS: Final = """
select id from batches where closed_at is null and class_id is null
order by class_id, id limit $1
"""

#: One look into an index for each open batch.
IDLE_BATCHES: Final = f"""
select id from batches
where closed_at is null and class_id is not null and (
    select essay_id from associations where batch_id = batches.id and {fragments.PENDING} limit 1
) is null
order by class_id, id limit $1
"""
