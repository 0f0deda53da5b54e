"""Two students who become one."""

from typing import Final

from store.postgres.sql import fragments

#: Both students of a merge, with the keys of their addresses, as far as these are up to date.
LOCK_MERGED: Final = """
select id, case when keyed_email = email then email_key end as email_key from students
where id = any($1::uuid[]) and owner_id = $2 order by id for update
"""

#: The open batches of these classes, and those that refer to a student of an owner who has left.
LOCK_OPEN_BATCHES: Final = """
select id from batches
where closed_at is null and id in (
    select id from batches where class_id = any($3::uuid[]) and closed_at is null
    union
    select batch_id from associations
    join students on students.id = associations.suggested_student_id
    where students.id = $1 and students.owner_id = $2
    union
    select batch_id from associations join students on students.id = associations.student_id
    where students.id = $1 and students.owner_id = $2
)
order by id for no key update
"""

#: What names the student $1: as suggested first or decided, and among the suggestions of batches of
#: these classes. In one order, since two merges may meet.
LOCK_REFERRING: Final = f"""
select {fragments.ASSOCIATION_COLUMNS}, batches.class_id, batches.deleted_class_id
from associations join batches on batches.id = associations.batch_id
where essay_id in (
    select essay_id from associations where suggested_student_id = $1
    union
    select essay_id from associations where student_id = $1
    union
    select essay_id from batches as of_class
    join associations on associations.batch_id = of_class.id
    where of_class.class_id = any($2::uuid[]) and {fragments.SUGGESTS}
)
order by essay_id for update of associations
"""

#: Of two suggestions of one student the first remains, as in rules.merging.moved_suggestions.
MOVE_ASSOCIATIONS: Final = f"""
update associations set
    suggested_student_id =
        case when suggested_student_id = $1 then $2 else suggested_student_id end,
    student_id = case when student_id = $1 then $2 else student_id end,
    suggestions = case when not {fragments.SUGGESTS} then suggestions else (
        select jsonb_agg(one order by position) from (
            select distinct on (one -> 'student_id') one, position from (
                select position, case when value @> jsonb_build_object('student_id', $1::uuid)
                    then value || jsonb_build_object('student_id', $2::uuid) else value
                end as one
                from jsonb_array_elements(suggestions) with ordinality as s (value, position)
            ) as moved
            order by one -> 'student_id', position
        ) as kept
    ) end
where essay_id = any($3::uuid[])
"""

MOVE_HISTORY: Final = "update association_history set student_id = $2 where student_id = $1"
