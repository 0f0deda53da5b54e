"""UNKNOWN students."""

from typing import Final

from rules import timeouts
from store.postgres.sql import fragments

#: Who has the address of a class's UNKNOWN student, in whatever spelling: itself, one that an older
#: version made, or a student who was given the address.
ADDRESS_HOLDERS: Final = f"""
select wanted.class_id, {fragments.STUDENT_COLUMNS}
from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (class_id, owner_id, email)
cross join lateral (
    select id from students
    where students.owner_id = wanted.owner_id and lower(students.email) = wanted.email
    union
    select id from students
    where students.owner_id = wanted.owner_id and students.email_key = wanted.email
) as holder
join students on students.id = holder.id
"""

#: Placeholders that are not as they were made, since an older worker changed them, and others with
#: an address of the service. Letters that IDNA takes for ASCII's and those that it leaves out are
#: looked through: more are found than rules.emails.is_own means, never less. It is the condition of
#: a partial index.
_OUT_OF_PLACE: Final = rf"""
case
    when is_placeholder then first_name <> '{timeouts.UNKNOWN_NAME.first_name}'
        or last_name <> '{timeouts.UNKNOWN_NAME.last_name}'
        or legal_full_name <> '{timeouts.UNKNOWN_NAME.legal_full_name}'
        or email is null or email !~ '^unknown\.[0-9a-f-]{{36}}@huleedu\.system$'
    when octet_length(email) = char_length(email) then lower(email) like '%huleedu.system'
    else regexp_replace(translate(lower(normalize(email, nfkc)), U&'\3002', '.'), '[^ -~]', '', 'g')
        like '%huleedu.system'
end
"""

#: Students to settle, from behind $1 on; another worker has those that it skips.
LOCK_OUT_OF_PLACE: Final = f"""
select id from students where id > $1 and {_OUT_OF_PLACE}
order by id limit $2 for update skip locked
"""

SETTLE_STUDENTS: Final = """
update students set is_placeholder = settled.is_placeholder, email = settled.email,
    email_key = case when settled.email is not null then students.email_key end,
    keyed_email = case when settled.email is not null then students.keyed_email end,
    version = settled.version, updated_at = now()
from unnest($1::uuid[], $2::boolean[], $3::text[], $4::integer[])
    as settled (id, is_placeholder, email, version)
where students.id = any($1::uuid[]) and students.id = settled.id
"""

ENROL_PLACEHOLDER: Final = """
with joined as (
    insert into enrollments (class_id, student_id, owner_id) values ($2, $1, $3)
)
update students set version = version + 1, updated_at = now() where id = $1
"""

#: From older versions, which took them. By the placeholders' index and one by one: they are fewer
#: than students, and than what is pending.
SUGGESTED_PLACEHOLDERS: Final = f"""
select id, owner_id from students
cross join lateral (
    select from associations
    where suggested_student_id = students.id and {fragments.PENDING} limit 1
) as pending
where is_placeholder order by owner_id, lower(email) limit $1
"""
