"""What teachers decide, and what the clock does."""

from typing import Final

from rules import history
from rules.models import Method, Status
from store.postgres.sql import fragments

#: Keeps the class of an owner's batch from being deleted; asked before the batch is locked.
KEEP_CLASS_OF_BATCH: Final = """
select classes.id, classes.owner_id, classes.name, classes.course_code
from batches join classes on classes.id = batches.class_id
where batches.id = $1 and classes.owner_id = $2
for key share of classes
"""

#: `no key`: an older version that deletes a student has its row when PostgreSQL checks that the
#: batch of its essay is there.
LOCK_OWNED_BATCH: Final = """
select batches.class_id from batches join classes on classes.id = batches.class_id
where batches.id = $1 and classes.owner_id = $2
for no key update of batches
"""

ASSOCIATIONS: Final = f"""
select {fragments.ASSOCIATION_COLUMNS} from associations
where batch_id = any($1::uuid[]) order by batch_id, created_at, essay_id
"""

MEMBERS_AMONG: Final = """
select student_id from enrollments where class_id = $1 and student_id = any($2::uuid[])
"""

#: Decides only pending associations; with the batch locked these are all that are given.
#: Of the batch $7, so that no plan reads all that is pending.
DECIDE_BY_HUMAN: Final = f"""
with decided as (
    update associations set status = decision.status, method = '{Method.HUMAN}',
        student_id = decision.given, validated_by = $4, validated_at = now()
    from unnest($1::uuid[], $2::text[], $3::uuid[]) as decision (of_essay, status, given)
    where associations.batch_id = $7 and associations.essay_id = decision.of_essay
        and associations.status = '{Status.PENDING}'
    returning essay_id, {fragments.columns(history.DECISION_MEMBERS, "associations.")}
)
{fragments.INSERT_CHANGES}
select $4, 'association', essay_id, $5, 'updated', null::integer, $4, correlation_id,
    {fragments.UNDECIDED}, {fragments.values(history.DECISION_MEMBERS)}
from decided cross join unnest($6::uuid[]) as correlation_id
"""

NOTE_TIMEOUT: Final = "update batches set timeout_triggered = true where id = $1"

#: Whether PostgreSQL's clock decides. A difference, and not `confirm_by <= now()`: the planner
#: would estimate that from what is due when it plans, which is next to nothing, and a flood would
#: get a plan for one row.
_DUE: Final = f"{fragments.PENDING} and confirm_by - now() <= interval '0'"

#: Asked before locking, so that only the batches taken are locked. A transaction's clock does not
#: advance: once locked, these batches can have fewer due essays, never more.
COUNT_DUE: Final = f"""
select batches.id, batches.class_id, coalesce(counted.due, 0) as due
from batches
left join (
    select batch_id, count(*) as due from associations
    where batch_id = any($1::uuid[]) and {_DUE} group by batch_id
) as counted on counted.batch_id = batches.id
where batches.id = any($1::uuid[])
"""

LOCK_FREE_BATCHES: Final = """
select id, class_id, closed_at, correlation_id, traceparent, deleted_class_id, timeout_triggered
from batches
where id = any($1::uuid[]) order by id for update skip locked
"""

#: All of locked batches: what is due, and what else they have. A suggested student is one only as
#: long as it is in the class: an older version does not withdraw those who leave. The subquery is
#: one so that no plan reads all enrolments.
ESSAYS_TO_JUDGE: Final = f"""
select essay_id, batch_id, {fragments.PENDING} as pending, {_DUE} as due, confirm_by, confidence,
    case when {_DUE} then (
        select enrollments.student_id from enrollments
        where enrollments.class_id = of_batch.class_id
            and enrollments.student_id = suggested_student_id
    ) end as suggested_student_id
from associations
join unnest($1::uuid[], $2::uuid[]) as of_batch (id, class_id) on of_batch.id = batch_id
where batch_id = any($1::uuid[])
"""

#: Asks PostgreSQL's clock again: no other clock decides. The batches are given so that no plan
#: searches the whole table for the essays.
DECIDE_BY_CLOCK: Final = f"""
with decided as (
    update associations set status = '{Status.TIMEOUT_CONFIRMED}',
        method = '{Method.TIMEOUT}',
        student_id = decision.given, validated_by = $4, validated_at = now()
    from unnest($2::uuid[], $3::uuid[]) as decision (of_essay, given)
    where associations.batch_id = any($1::uuid[]) and associations.essay_id = decision.of_essay
        and {_DUE}
    returning {fragments.CLOSING_COLUMNS},
        extract(epoch from clock_timestamp() - confirm_by)::float8 as lateness
), remembered as (
    {fragments.INSERT_CHANGES}
    select owner_id, 'association', essay_id, class_id, 'updated', null, $4, correlation_id,
        {fragments.UNDECIDED}, {fragments.values(history.DECISION_MEMBERS)}
    from decided join unnest($5::uuid[], $6::text[], $7::uuid[], $8::uuid[])
        as cause (of_batch, owner_id, class_id, correlation_id) on of_batch = batch_id
)
select decided.*, students.first_name, students.last_name, students.email, students.is_placeholder
from decided join students on students.id = decided.student_id
order by decided.batch_id, decided.created_at, decided.essay_id
"""
