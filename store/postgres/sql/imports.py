"""Imports of rosters: plans, their parts, and what applying them changes."""

from typing import Final

from rules.imports import applying
from rules.imports.plans import ImportState
from store.postgres.sql import fragments

_APPLYING: Final = f"state = '{ImportState.APPLYING}'"
_PLANNED: Final = f"state = '{ImportState.PLANNED}'"
_EXPIRED: Final = f"{_PLANNED} and expires_at <= now()"

_PLAN_KEPT: Final = f"interval '{applying.PLAN_KEPT.total_seconds()} seconds'"
_ENDED_KEPT: Final = f"interval '{applying.ENDED_KEPT.total_seconds()} seconds'"

# --- what plans are made of ---------------------------------------------------------------------

#: Classes and students in one statement, and so of one moment. `ids` are whom the last import left
#: in a class, or the classes of a student; `marked` and what follows is what it left. `offset 0`
#: has it looked up one by one: with statistics of when there was less, all of an owner looks like
#: so many that the marks of all owners are read.
_STATE: Final = f"""
select true as is_class, classes.id, classes.name, course_code, null as legal_full_name,
    null as email, classes.external_id, version,
    array(select student_id from import_members where import_members.class_id = classes.id) as ids,
    mark.class_id is not null as marked, mark.name as marked_first, null as marked_last,
    null as marked_full, null as marked_email, mark.external_id as marked_external,
    false as decided
from classes left join lateral (
    select * from import_class_marks where import_class_marks.class_id = classes.id offset 0
) as mark on true
where classes.owner_id = $1 {{these_classes}}
union all
select false, students.id, students.first_name, students.last_name, students.legal_full_name,
    students.email, students.external_id, students.version,
    array(select class_id from enrollments where enrollments.student_id = students.id),
    mark.student_id is not null, mark.first_name, mark.last_name, mark.legal_full_name, mark.email,
    mark.external_id,
    exists (
        select from associations
        where associations.student_id = students.id and not {fragments.PENDING}
    )
from students left join lateral (
    select * from import_marks where import_marks.student_id = students.id offset 0
) as mark on true
where students.owner_id = $1 and not students.is_placeholder {{these_students}}
"""

#: All of an owner.
OWNER_STATE: Final = _STATE.format(these_classes="", these_students="")

#: These classes and these students of an owner.
TOUCHED_STATE: Final = _STATE.format(
    these_classes="and classes.id = any($2::uuid[])",
    these_students="and students.id = any($3::uuid[])",
)

#: Who is in these classes of an owner; UNKNOWN is not.
MEMBERS: Final = """
select class_id, array_agg(student_id) as ids
from enrollments
where class_id = any($1::uuid[]) and owner_id = $2 and not exists (
    select from students where students.id = enrollments.student_id and students.is_placeholder
)
group by class_id
"""

# --- imports ------------------------------------------------------------------------------------

INSERT_IMPORT: Final = f"""
insert into imports (id, owner_id, state, mode, class_id, summary, undoes, filename, rows_total,
    expires_at, correlation_id, traceparent)
values ($1, $2, '{ImportState.PLANNED}', $3, $4, $5, $6, $7, $8, now() + {_PLAN_KEPT}, $9, $10)
"""

INSERT_PARTS: Final = """
insert into import_parts (import_id, number, class_id, fingerprint, is_new, is_large, has_errors,
    taken_out, changed, size, row_count)
select $1::uuid, part.*
from unnest($2::integer[], $3::uuid[], $4::text[], $5::boolean[], $6::boolean[], $7::boolean[],
    $8::integer[], $9::integer[], $10::integer[], $11::integer[]) as part
"""

INSERT_ROWS: Final = """
insert into import_rows (import_id, number, part, kind, entity, line, file, class_id, student_id,
    before, after, errors, notices, rests, kept)
select $1::uuid, planned.*
from unnest($2::integer[], $3::integer[], $4::text[], $5::text[], $6::integer[], $7::text[],
    $8::uuid[], $9::uuid[], $10::json[], $11::json[], $12::json[], $13::json[], $14::boolean[],
    $15::boolean[]) as planned
"""

_IMPORT_COLUMNS: Final = f"""
imports.id, owner_id, mode, imports.class_id, summary, undoes, filename, version, rows_total,
rows_over, created_at, expires_at, correlation_id, traceparent,
case when {_EXPIRED} then '{ImportState.EXPIRED}' else state end as state,
exists (select from import_parts where import_id = imports.id and is_large) as is_large,
(
    select undoing.id from imports as undoing
    where undoing.owner_id = imports.owner_id and undoing.undoes = imports.id
        and undoing.state in ('applying', 'applied')
    order by undoing.created_at desc limit 1
) as undone_by,
array(
    select class_id from import_parts
    where import_id = imports.id and import_parts.state = 'left_out' and class_id is not null
    order by number
) as left_out
"""

GET_IMPORT: Final = f"select {_IMPORT_COLUMNS} from imports where id = $1 and owner_id = $2"

LOCK_IMPORT: Final = f"{GET_IMPORT} for no key update"

#: At most $2 and one more, behind the place ($3, $4).
LIST_IMPORTS: Final = f"""
select {_IMPORT_COLUMNS} from imports
where owner_id = $1 and (created_at, id)
    < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, {fragments.LAST_ID}))
order by created_at desc, id desc limit $2::bigint + 1
"""

PARTS: Final = """
select number, class_id, fingerprint, is_new, is_large, has_errors, taken_out, changed, size,
    row_count, state
from import_parts where import_id = $1 order by number
"""

_ROW_COLUMNS: Final = """
import_rows.number, import_rows.kind, import_rows.entity, import_rows.line, import_rows.file,
import_rows.class_id, import_rows.student_id, import_rows.before, import_rows.after,
import_rows.errors, import_rows.notices, import_rows.rests, import_rows.kept
"""

#: At most $2 and one more, behind the number $3, of the kind $4 and about the entity $5 if they are
#: not null, with a notice if $6.
IMPORT_ROWS: Final = f"""
select {_ROW_COLUMNS}, coalesce(import_parts.state = 'left_out', false) as left_out
from import_rows
left join import_parts
    on import_parts.import_id = import_rows.import_id and import_parts.number = import_rows.part
where import_rows.import_id = $1 and import_rows.number > $3
    and ($4::text is null or kind = $4) and ($5::text is null or entity = $5)
    and (notices is not null or not $6::boolean)
order by import_rows.number limit $2::bigint + 1
"""

#: What was applied, at most $3 behind the number $2.
APPLIED_ROWS: Final = f"""
select {_ROW_COLUMNS} from import_rows
join import_parts
    on import_parts.import_id = import_rows.import_id and import_parts.number = import_rows.part
where import_rows.import_id = $1 and import_rows.number > $2 and import_parts.state = 'done'
    and kind <> 'error'
order by import_rows.number limit $3
"""

#: The students whose values each part rests on.
RESTING: Final = """
select part, array_agg(student_id) as ids from import_rows
where import_id = $1 and rests and part is not null group by part
"""

#: What is skipped for its errors.
SKIP_PARTS: Final = f"""
update import_parts set state = 'left_out', reason = '{applying.LeftOut.ERRORS}'
where import_id = $1 and has_errors
"""

_OVER: Final = """(
    select coalesce(sum(row_count), 0) from import_parts
    where import_id = imports.id and import_parts.state <> 'pending'
)"""

START_APPLYING: Final = f"""
update imports set state = '{ImportState.APPLYING}', version = version + 1, next_at = now(),
    correlation_id = $2, traceparent = $3, rows_over = {_OVER}
where id = $1
"""

# --- applying -----------------------------------------------------------------------------------

#: The import that has waited longest; one that another worker has is skipped. By the clock: the
#: transaction may have begun before it was due.
NEXT_IMPORT: Final = f"""
select id, owner_id, correlation_id, traceparent from imports
where {_APPLYING} and next_at <= clock_timestamp()
order by next_at limit 1 for no key update skip locked
"""

#: What is to be done next, and what after it.
NEXT_PARTS: Final = """
select number, class_id, fingerprint, is_new, is_large, has_errors, taken_out, changed, size,
    row_count
from import_parts where import_id = $1 and state = 'pending' order by number limit 2
"""

PART_ROWS: Final = f"""
select {_ROW_COLUMNS} from import_rows where import_id = $1 and part = $2 order by number
"""

#: The rows of other parts that create these students.
CREATING_ROWS: Final = f"""
select {_ROW_COLUMNS} from import_rows
where import_id = $1 and kind = 'created' and entity = 'student' and student_id = any($2::uuid[])
"""

#: A student that another part was to create is created by this one.
TAKE_OVER: Final = """
update import_rows set kind = 'created', after = taken.after
from unnest($3::uuid[], $4::json[]) as taken (student_id, after)
where import_id = $1 and part = $2 and kind = 'joined' and entity = 'student'
    and import_rows.student_id = taken.student_id
"""

PART_OVER: Final = """
update import_parts set state = $3, reason = $4 where import_id = $1 and number = $2
"""

GO_ON: Final = f"""
update imports set version = version + 1, next_at = clock_timestamp(), rows_over = {_OVER}
where id = $1
"""

#: Ends an import of which no part is pending any more; returns nothing if one is.
END_IMPORT: Final = f"""
update imports set version = version + 1, next_at = null, rows_over = {_OVER},
    ended_at = clock_timestamp(), expires_at = clock_timestamp() + {_ENDED_KEPT},
    state = case
        when exists (select from import_parts where import_id = $1 and state = 'done')
            or not exists (select from import_parts where import_id = $1)
        then '{ImportState.APPLIED}' else '{ImportState.FAILED}'
    end
where id = $1 and {_APPLYING}
    and not exists (select from import_parts where import_id = $1 and state = 'pending')
returning id
"""

#: Has a part that failed tried again, later each time; after $3 tries it is left out.
PART_FAILED: Final = f"""
with failed as (
    update import_parts set tries = tries + 1,
        state = case when tries + 1 >= $3 then 'left_out' else state end,
        reason = case when tries + 1 >= $3 then '{applying.LeftOut.FAILED}' end
    where import_id = $1 and number = $2 and state = 'pending'
    returning import_id, tries, state
), put_off as (
    update imports set version = version + 1,
        next_at = clock_timestamp() + least(60, 2 ^ failed.tries) * interval '1 second'
    from failed where imports.id = failed.import_id and imports.{_APPLYING}
)
select state = 'left_out' as left_out from failed
"""

#: How many imports are being applied, and for how many seconds the oldest has waited for a step.
WAITING_IMPORTS: Final = f"""
select count(*) as imports,
    coalesce(extract(epoch from clock_timestamp() - min(next_at)), 0)::float8 as age
from imports where {_APPLYING}
"""

# --- what a step changes ------------------------------------------------------------------------

#: The batches in which any of these students is still only suggested, of the classes $3 (null is
#: all); all transactions lock batches before students.
LOCK_BATCHES_SUGGESTING: Final = f"""
select id from batches
where id in (
    select batch_id from associations
    join students on students.id = associations.suggested_student_id
    where students.id = any($1::uuid[]) and students.owner_id = $2
        and associations.{fragments.PENDING}
) and ($3::uuid[] is null or class_id = any($3::uuid[]))
order by id for update
"""

#: Which of these students are suggested for something pending in the batches of a class (null is
#: all).
SUGGESTED_AMONG: Final = f"""
select wanted.id from unnest($1::uuid[]) as wanted (id)
where exists (
    select from associations join batches on batches.id = associations.batch_id
    where suggested_student_id = wanted.id and associations.{fragments.PENDING}
        and ($2::uuid is null or batches.class_id = $2)
)
"""

#: Students that get other addresses or external ids have none in between: two may change theirs.
FREE_VALUES: Final = """
update students set email = null, email_key = null, keyed_email = null, external_id = null
where id = any($1::uuid[])
"""

#: As CLAIM_EMAIL and CLAIM_EXTERNAL_IDS of store.postgres.sql, for many who have none. Returns the
#: claims that got all that they ask for.
CLAIM_VALUES: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
    external_id)
select id, $2::text, '-', '-', '-', email, email_key, external_id
from unnest($1::uuid[], $3::text[], $4::text[], $5::text[])
    as claim (id, email, email_key, external_id)
order by email_key, external_id
on conflict do nothing returning id
"""

CHANGE_STUDENTS: Final = """
update students set first_name = changed.first_name, last_name = changed.last_name,
    legal_full_name = changed.legal_full_name, email = changed.email,
    email_key = case when students.email is distinct from changed.email
        then changed.email_key else students.email_key end,
    keyed_email = case when students.email is distinct from changed.email
        then changed.email else students.keyed_email end,
    external_id = changed.external_id, version = students.version + 1, updated_at = now()
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    as changed (id, first_name, last_name, legal_full_name, email, email_key, external_id)
where students.id = any($1::uuid[]) and students.id = changed.id
"""

TAKE_OUT: Final = "delete from enrollments where class_id = $1 and student_id = any($2::uuid[])"

PUT_IN: Final = """
insert into enrollments (class_id, student_id, owner_id)
select $1::uuid, student_id, $3::text from unnest($2::uuid[]) as student_id
"""

# --- what an import leaves ----------------------------------------------------------------------

MARK_STUDENTS: Final = """
insert into import_marks as mark (student_id, first_name, last_name, legal_full_name, email,
    external_id)
select *
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
on conflict (student_id) do update set first_name = excluded.first_name,
    last_name = excluded.last_name, legal_full_name = excluded.legal_full_name,
    email = excluded.email, external_id = excluded.external_id
where (mark.first_name, mark.last_name, mark.legal_full_name, mark.email, mark.external_id)
    is distinct from (excluded.first_name, excluded.last_name, excluded.legal_full_name,
        excluded.email, excluded.external_id)
"""

MARK_CLASS: Final = """
insert into import_class_marks (class_id, name, external_id) values ($1, $2, $3)
on conflict (class_id) do update set name = excluded.name, external_id = excluded.external_id
"""

#: Who was left in the class and is no more: whoever was deleted meanwhile has no mark anyway.
UNMARK_MEMBERS: Final = """
delete from import_members where class_id = $1 and student_id <> all($2::uuid[])
"""

MARK_MEMBERS: Final = """
insert into import_members (class_id, student_id)
select $1::uuid, id from students where id = any($2::uuid[])
on conflict do nothing
"""

#: Of two students that become one, what imports left of the first counts for the second, as far as
#: they left nothing of it.
MOVE_MARKS: Final = """
with moved as (
    insert into import_marks
    select $2::uuid, first_name, last_name, legal_full_name, email, external_id
    from import_marks where student_id = $1
    on conflict do nothing
)
insert into import_members (class_id, student_id)
select class_id, $2::uuid from import_members where student_id = $1
on conflict do nothing
"""

# --- housekeeping -------------------------------------------------------------------------------

#: One plan that has expired, without its rows: there may be many.
EXPIRE_IMPORT: Final = f"""
with expired as (
    select id from imports where {_EXPIRED} order by expires_at limit 1 for update skip locked
), gone as (
    delete from import_rows where import_id in (select id from expired)
), gone_parts as (
    delete from import_parts where import_id in (select id from expired)
)
update imports set state = '{ImportState.EXPIRED}', version = version + 1, ended_at = now()
where id in (select id from expired) returning id
"""

FORGET_IMPORT: Final = f"""
delete from imports where id in (
    select id from imports where ended_at <= now() - {_ENDED_KEPT}
    order by ended_at limit 1 for update skip locked
) returning id
"""
