"""Students."""

from typing import Final

from rules import history, search
from store.postgres.sql import fragments

#: Creates students, enrols and publishes only for those that are new and whose email and external
#: id are free; of two with the same email the first is created. Returns who is new, and since when:
#: an array is read in a fraction of a row's time.
INSERT_STUDENTS: Final = f"""
with made as (
    insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
        keyed_email, is_placeholder, external_id)
    select id, owner_id, first_name, last_name, legal_full_name, email, email_key, email,
        is_placeholder, external_id
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $13::text[], $14::boolean[], $16::text[]) with ordinality
        as student (id, owner_id, first_name, last_name, legal_full_name, email, email_key,
            is_placeholder, external_id, position)
    order by owner_id, email_key, position
    on conflict do nothing
    returning id, owner_id, version, {fragments.STUDENT_MEMBERS}
), enrolled as (
    insert into enrollments (class_id, student_id, owner_id)
    select class_id, made.id, made.owner_id
    from unnest($7::uuid[], $8::uuid[]) as enrollment (class_id, student_id)
    join made on made.id = student_id
    returning owner_id, student_id, class_id
), published as (
    {fragments.insert_packs_of("made", 9)}
), remembered as (
    {fragments.INSERT_CHANGES}
    select owner_id, entity, id, class_id, 'created', version, made_by, correlation_id, null, after
    from (
        select owner_id, 'student' as entity, id, null::uuid as class_id, version,
            {fragments.whole(history.STUDENT_MEMBERS)} as after
        from made
        union all
        select owner_id, 'enrollment', student_id, class_id, null, null from enrolled
    ) as change
    join unnest($1::uuid[], $12::uuid[], $15::text[]) as cause (of_id, correlation_id, made_by)
        on of_id = id
    where correlation_id is not null
)
select coalesce(array_agg(id), '{{}}') as ids, now() as at from made
"""

STUDENTS_BY_ID: Final = (
    f"select {fragments.STUDENT_COLUMNS} from students where id = any($1::uuid[])"
)

#: For `?external_id=`, as classes.CLASS_CALLED.
STUDENT_CALLED: Final = f"""
select {fragments.STUDENT_COLUMNS} from students where owner_id = $1 and external_id = $2
"""

GET_STUDENT: Final = (
    f"select {fragments.STUDENT_COLUMNS} from students where id = $1 and owner_id = $2"
)

#: Which other one of an owner's students has an address, for each of many: its key, or its text,
#: where a student of an earlier version has no key yet. Both indexes keep others out.
EMAIL_HOLDERS: Final = """
select wanted.of_id, holder.id
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
    as wanted (of_id, owner_id, email, email_key)
cross join lateral (
    select id from students
    where owner_id = wanted.owner_id and email_key = wanted.email_key and id <> wanted.of_id
    union all
    select id from students
    where owner_id = wanted.owner_id and lower(email) = lower(wanted.email) and id <> wanted.of_id
    limit 1
) as holder
"""

#: The same for external ids, which are compared as they are.
EXTERNAL_ID_HOLDERS: Final = """
select wanted.of_id, students.id
from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (of_id, owner_id, external_id)
join students on students.owner_id = wanted.owner_id
    and students.external_id = wanted.external_id
where students.id <> wanted.of_id
"""

LOCK_STUDENTS: Final = """
select id from students where id = any($1::uuid[]) order by id for update
"""

#: Students whose owners are as given.
LOCK_OWNED_STUDENTS: Final = """
select id from students
where id = any($1::uuid[])
    and (id, owner_id) in (select * from unnest($1::uuid[], $2::text[]))
order by id for update
"""

LOCK_STUDENT: Final = "select id from students where id = $1 and owner_id = $2 for update"

_LONGEST_TRANSACTION: Final = f"interval '{search.LONGEST_TRANSACTION.total_seconds()} seconds'"

#: A page of an owner's students, in Python's order, whatever the database's. It begins after the
#: key ($2, $3, $4); $5 and $6 are `since` and `again` of rules.search.Position. Only what needs it
#: is normalised, which takes far longer than to look; `offset 0` has the text made once. Who has an
#: address is found by it, and who is in a class by the class: of the union one part is begun.
FIND_STUDENTS: Final = f"""
select {fragments.STUDENT_COLUMNS}, students.again, now() as read_at from (
    select students.*, is_behind is false or $6::boolean is true as again
    from (
        select * from students where owner_id = $1 and $8::text is null and $9::uuid is null
        union all
        select * from students
        where owner_id = $1 and $8 is not null and (email_key = $11 or lower(email) = lower($8))
            and ($9 is null or exists (
                select from enrollments where class_id = $9 and student_id = students.id
            ))
        union all
        select * from students
        where owner_id = $1 and $8 is null and id = any(array(
            select student_id from enrollments where class_id = $9
        ))
    ) as students cross join lateral (
        select $2::text is null
            or (last_name collate "C", first_name collate "C", id) > ($2, $3::text, $4::uuid)
            as is_behind
    ) as place
    where not is_placeholder
        and (
            (is_behind and $6 is not true)
            or (version > 1 and created_at < $5::timestamptz and (is_behind or not $6)
                and updated_at >= $5 - {_LONGEST_TRANSACTION})
        )
        and ($7::text is null or (
            select case when octet_length(words) = char_length(words) then words
                when words is nfc normalized then words else normalize(words) end collate "C" ~ $7
            from (
                select concat(first_name, ' ', last_name, e'\\n', legal_full_name, e'\\n', email)
                    as words offset 0
            ) as student
        ))
    order by again, last_name collate "C", first_name collate "C", id limit $10
) as students
order by again, last_name collate "C", first_name collate "C", id
"""

UPDATE_STUDENT: Final = f"""
with left_by as (
    delete from enrollments where student_id = $1 and class_id = any($6::uuid[])
    returning class_id
), joined_by as (
    insert into enrollments (class_id, student_id, owner_id)
    select class_id, $1, $7 from unnest($8::uuid[]) as class_id
    returning class_id
), made as (
    update students set first_name = $2, last_name = $3, legal_full_name = $4, email = $5,
        email_key = case when old.email is distinct from $5 then $10 else old.email_key end,
        keyed_email = case when old.email is distinct from $5 then $5 else old.keyed_email end,
        external_id = $11, version = students.version + 1, updated_at = now()
    from students as old
    where students.id = $1 and old.id = $1
    returning students.version, students.updated_at,
        {fragments.columns(history.STUDENT_MEMBERS, "students.")},
        {fragments.old(history.STUDENT_MEMBERS)}
), remembered as (
    {fragments.INSERT_CHANGES}
    select $7, entity, $1, class_id, kind, version, $7, correlation_id, before, after
    from (
        select 'student' as entity, null::uuid as class_id, 'updated' as kind, version,
            {fragments.values(history.STUDENT_MEMBERS, "old_")} as before,
            {fragments.values(history.STUDENT_MEMBERS)} as after
        from made
        union all select 'enrollment', class_id, 'deleted', null, null, null from left_by
        union all select 'enrollment', class_id, 'created', null, null, null from joined_by
    ) as change
    cross join unnest($9::uuid[]) as correlation_id
)
select version, updated_at from made
"""

#: Students, as often as given, what they join, and which of them ($5) get an external id ($6).
JOIN_CLASSES: Final = """
with joined as (
    insert into enrollments (student_id, class_id, owner_id)
    select * from unnest($1::uuid[], $2::uuid[], $3::text[])
)
update students set version = students.version + changed.times, updated_at = now(),
    external_id = coalesce(students.external_id, (
        select called.external_id
        from unnest($5::uuid[], $6::text[]) as called (id, external_id)
        where called.id = students.id
    ))
from (select id, count(*) as times from unnest($4::uuid[]) as id group by id) as changed
where students.id = any($4::uuid[]) and students.id = changed.id
"""

#: Takes an address, $4, and its key, $5, for the student $1 by a row of its own, $2: unlike an
#: update, an insert can find a conflict without an error, whose detail PostgreSQL would write into
#: its log with the address. Who wants the same waits for this transaction's end. What the student
#: has already is not claimed: it may have the key in another spelling, or the text without the key.
#: Returns whether the student has both.
CLAIM_EMAIL: Final = """
with own as (
    select coalesce(lower(email) = lower($4), false) as has_text,
        coalesce(email_key = $5, false) as has_key
    from students where id = $1
), claimed as (
    insert into students (id, owner_id, first_name, last_name, legal_full_name, email, email_key)
    select $2, $3, '-', '-', '-', case when not has_text then $4 end,
        case when not has_key then $5 end
    from own where not (has_text and has_key)
    on conflict do nothing returning id
)
select exists (select from own where has_text and has_key) or exists (select from claimed)
"""

#: Takes external ids for students by rows of their own, as CLAIM_EMAIL does. Returns those that are
#: taken now, which nobody had.
CLAIM_EXTERNAL_IDS: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, external_id)
select id, owner_id, '-', '-', '-', external_id
from unnest($1::uuid[], $2::text[], $3::text[]) as claim (id, owner_id, external_id)
order by owner_id, external_id
on conflict do nothing returning id
"""

#: The classes that any of an owner's students is in.
CLASSES_OF_STUDENTS: Final = """
select distinct class_id from enrollments
where student_id = any($1::uuid[]) and owner_id = $2
"""

#: Takes back what claims inserted: they were never students.
DROP_CLAIMS: Final = f"delete from students where id {fragments.AMONG}"

#: Its enrolments, and what was decided for it, would go without it, but unremembered.
DELETE_STUDENT: Final = f"""
with left_by as (
    delete from enrollments where student_id = $1 returning class_id
), decided as (
    select essay_id, batch_id, suggested_student_id, student_id from associations
    where suggested_student_id = $1 or student_id = $1
    order by essay_id for update
), cleared as (
    update associations set suggested_student_id = nullif(decided.suggested_student_id, $1),
        student_id = nullif(decided.student_id, $1)
    from decided join batches on batches.id = decided.batch_id
    where associations.essay_id = decided.essay_id
    returning associations.essay_id, {fragments.CLASS_OF_BATCH} as class_id,
        associations.suggested_student_id, associations.student_id,
        decided.suggested_student_id as old_suggested_student_id,
        decided.student_id as old_student_id
), gone as (
    delete from students where id = $1 returning owner_id, version, {fragments.STUDENT_MEMBERS}
)
{fragments.INSERT_CHANGES}
select gone.owner_id, entity, change.id, class_id, kind, change.version, gone.owner_id,
    correlation_id, before, after
from (
    select 'association' as entity, essay_id as id, class_id, 'updated' as kind,
        null::integer as version, {fragments.values(history.REFERENCE_MEMBERS, "old_")} as before,
        {fragments.values(history.REFERENCE_MEMBERS)} as after
    from cleared
    union all
    select 'enrollment', $1, class_id, 'deleted', null, null, null from left_by
    union all
    select 'student', $1, null, 'deleted', version, {fragments.whole(history.STUDENT_MEMBERS)}, null
    from gone
) as change
cross join gone cross join unnest($2::uuid[]) as correlation_id
"""
