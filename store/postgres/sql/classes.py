"""Classes."""

from typing import Final

from rules import history
from store.postgres.sql import fragments

#: Creates classes and publishes only for those that are new and whose external id is free; of two
#: with the same external id the first is created.
INSERT_CLASSES: Final = f"""
with made as (
    insert into classes (id, owner_id, name, course_code, external_id)
    select id, owner_id, name, course_code, external_id
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $9::text[])
        with ordinality as class (id, owner_id, name, course_code, external_id, position)
    order by owner_id, external_id, position
    on conflict do nothing
    returning id, owner_id, version, created_at, updated_at, {fragments.CLASS_MEMBERS}
), published as (
    {fragments.insert_packs_of("made", 5)}
), remembered as (
    {fragments.INSERT_CHANGES}
    select owner_id, 'class', id, id, 'created', version, owner_id, correlation_id,
        null, {fragments.whole(history.CLASS_MEMBERS)}
    from made join unnest($1::uuid[], $8::uuid[]) as cause (of_id, correlation_id) on of_id = id
    where correlation_id is not null
)
select *, 0 as student_count from made
"""

#: Enrolments are counted in their index alone; only the placeholder's student is looked at.
_CLASS_COLUMNS: Final = f"""
classes.id, classes.owner_id, classes.name, classes.course_code, classes.external_id,
classes.version, classes.created_at, classes.updated_at,
(select count(*) from enrollments where enrollments.class_id = classes.id) - (
    select count(*) from students
    join enrollments
        on enrollments.student_id = students.id and enrollments.class_id = classes.id
    where students.is_placeholder and students.owner_id = classes.owner_id
        and lower(students.email) = {fragments.unknown_address("classes.id")}
) as student_count
"""

CLASSES_BY_ID: Final = f"select {_CLASS_COLUMNS} from classes where id = any($1::uuid[])"

#: For `?external_id=`: in LIST_CLASSES it could be planned as a look at all of an owner's classes.
CLASS_CALLED: Final = f"""
select {_CLASS_COLUMNS} from classes where owner_id = $1 and external_id = $2
"""

#: Which of an owner's classes has an external id, for each of many.
CLASSES_CALLED: Final = """
select wanted.of_id, classes.id
from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (of_id, owner_id, external_id)
join classes on classes.owner_id = wanted.owner_id and classes.external_id = wanted.external_id
where classes.id <> wanted.of_id
"""

#: The same for a class as students.CLAIM_EXTERNAL_IDS for students.
CLAIM_CLASS_EXTERNAL_ID: Final = """
insert into classes (id, owner_id, name, course_code, external_id) values ($1, $2, '-', $3, $4)
on conflict do nothing returning id
"""

DROP_CLASS_CLAIM: Final = "delete from classes where id = $1"

#: At most $2 and one more, behind the place ($4, $5).
LIST_CLASSES: Final = f"""
select {_CLASS_COLUMNS} from classes
where owner_id = $1 and (created_at, id)
    < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, {fragments.LAST_ID}))
order by created_at desc, id desc limit $2::bigint + 1 offset $3
"""

LOCK_CLASS: Final = f"""
select {_CLASS_COLUMNS} from classes where id = $1 and owner_id = $2 for no key update
"""

#: Nobody joins, or is taken out, until the transaction ends: its tag is compared. The deletion of a
#: student does not lock the classes, and may commit meanwhile.
LOCK_CLASS_AND_ROSTER: Final = f"""
select {_CLASS_COLUMNS} from classes where id = $1 and owner_id = $2 for update
"""

LOCK_CLASS_TO_DELETE: Final = """
select course_code, external_id from classes where id = $1 and owner_id = $2 for update
"""

UPDATE_CLASS: Final = f"""
with made as (
    update classes set name = $2, course_code = $3, external_id = $5,
        version = classes.version + 1, updated_at = now()
    from classes as old
    where classes.id = $1 and old.id = $1
    returning classes.id, classes.owner_id, classes.version, classes.updated_at,
        {fragments.columns(history.CLASS_MEMBERS, "classes.")},
        {fragments.old(history.CLASS_MEMBERS)}
), remembered as (
    {fragments.INSERT_CHANGES}
    select owner_id, 'class', id, id, 'updated', version, owner_id, correlation_id,
        {fragments.values(history.CLASS_MEMBERS, "old_")}, {fragments.values(history.CLASS_MEMBERS)}
    from made cross join unnest($4::uuid[]) as correlation_id
)
select version, updated_at from made
"""

#: Its enrolments would go without it, but unremembered.
DELETE_CLASS: Final = f"""
with left_by as (
    delete from enrollments where class_id = $1 returning owner_id, student_id
), gone as (
    delete from classes where id = $1 returning owner_id, version, {fragments.CLASS_MEMBERS}
)
{fragments.INSERT_CHANGES}
select owner_id, 'enrollment', student_id, $1, 'deleted', null::integer, owner_id, correlation_id,
    null::json, null::json
from left_by cross join unnest($2::uuid[]) as correlation_id
union all
select owner_id, 'class', $1, $1, 'deleted', version, owner_id, correlation_id,
    {fragments.whole(history.CLASS_MEMBERS)}, null
from gone cross join unnest($2::uuid[]) as correlation_id
"""

#: Returns nothing if a class had this id before, and was deleted.
REMEMBER_DELETED_CLASS: Final = """
insert into deleted_classes (id, owner_id, course_code, deleted_by, correlation_id, traceparent)
values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing returning id
"""

#: Inserts where the purge has taken the former one meanwhile.
REPLACE_DELETED_CLASS: Final = """
insert into deleted_classes (id, owner_id, course_code, deleted_by, correlation_id, traceparent)
values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set owner_id = excluded.owner_id, course_code = excluded.course_code,
    deleted_by = excluded.deleted_by, correlation_id = excluded.correlation_id,
    traceparent = excluded.traceparent, deleted_at = now()
"""

#: Closed ones, too: a message for one of them says that its class was deleted.
DETACH_BATCHES: Final = """
update batches set class_id = null, deleted_class_id = $1 where class_id = $1
"""

DELETED_AMONG: Final = "select id from deleted_classes where id = any($1::uuid[])"

FIND_DELETED_CLASS: Final = """
select id, owner_id, course_code, deleted_by, correlation_id, traceparent
from deleted_classes where id = $1
"""

CLASS_DELETION: Final = f"""
select count(distinct batches.id) as batches_open,
    count(essay_id) filter (where {fragments.PENDING}) as associations_pending
from classes
left join batches on batches.class_id = classes.id and batches.closed_at is null
left join associations on associations.batch_id = batches.id
where classes.id = $1 and classes.owner_id = $2
group by classes.id
"""

#: Those whose batches are open are needed, however old they are.
PURGE_DELETED_CLASSES: Final = """
delete from deleted_classes
where deleted_at < now() - make_interval(days => $1) and not exists (
    select from batches
    where closed_at is null and class_id is null and deleted_class_id = deleted_classes.id
)
"""

#: Keeps classes from being deleted until the transaction ends; students may still join.
SHARE_CLASSES: Final = f"""
select id, owner_id, name, course_code from classes where id {fragments.AMONG}
order by id for key share
"""

NAME_CLASSES: Final = """
select id, owner_id, name, course_code from classes where id = any($1::uuid[])
"""

#: `size` counts an UNKNOWN student, too: it is one too many at most.
READ_CLASSES: Final = """
select id, owner_id, name, course_code,
    (select count(*) from enrollments where class_id = classes.id) as size
from classes where id = any($1::uuid[])
"""

#: How many students classes have, without the UNKNOWN one.
CLASS_SIZES: Final = f"""
select wanted.id as id, (
    select count(*) from enrollments cross join {fragments.ENROLLED}
    where enrollments.class_id = wanted.id and not students.is_placeholder
) as size
from unnest($1::uuid[]) as wanted (id)
"""
