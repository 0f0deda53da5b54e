"""The keys by which equal addresses are found."""

from typing import Final

from store.postgres.advisory import AdvisoryLock

#: One worker at a time; ends with the transaction.
LEASE_EMAIL_KEYS: Final = f"select pg_try_advisory_xact_lock({AdvisoryLock.EMAIL_KEYS})"

#: Compared with a number because the planner takes most rows to be distinct from something, and so
#: the whole table for cheaper than the index.
_UNKEYED: Final = "(email is distinct from keyed_email)::integer = 1"

_COLLIDING: Final = "email_key is null and keyed_email = email"

_WITHOUT_KEY: Final = """
select id, owner_id, email, created_at from students
where {lacking} and id >= $1 order by id limit $2
"""

#: Students whose key was not computed yet, or whose email an older worker has changed since.
UNKEYED_STUDENTS: Final = _WITHOUT_KEY.format(lacking=_UNKEYED)

#: Students whose key another one had.
COLLIDING_STUDENTS: Final = _WITHOUT_KEY.format(lacking=_COLLIDING)

#: Frees what belongs to an email that the student has no more.
DROP_STALE_KEYS: Final = f"""
update students set email_key = null
where id = any($1::uuid[]) and email_key is not null and {_UNKEYED}
"""

#: Takes keys by rows of their own, as students.CLAIM_EMAIL does; returns those that were free.
CLAIM_EMAIL_KEYS: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email_key)
select id, owner_id, '-', '-', '-', email_key
from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (id, owner_id, email_key)
order by owner_id, email_key
on conflict do nothing returning id
"""

#: Who is being changed is left for another time.
LOCK_FREE_STUDENTS: Final = """
select id, email from students where id = any($1::uuid[]) order by id for update skip locked
"""

#: Who has these keys, unless the key is of another email by now.
EMAIL_KEY_HOLDERS: Final = """
select students.id, students.owner_id, students.email_key, students.created_at
from unnest($1::text[], $2::text[]) as wanted (owner_id, email_key)
join students using (owner_id, email_key)
where students.email = students.keyed_email
"""

LOCK_EMAIL_KEY_HOLDERS: Final = f"{EMAIL_KEY_HOLDERS} for update of students skip locked"

DROP_KEYS: Final = "update students set email_key = null where id = any($1::uuid[])"

#: Writes nothing where nothing changes.
KEEP_KEYS: Final = """
update students set email_key = given.key, keyed_email = students.email
from unnest($1::uuid[], $2::text[]) as given (of_id, key)
where students.id = any($1::uuid[]) and students.id = given.of_id and (
    students.email_key is distinct from given.key
    or students.keyed_email is distinct from students.email)
"""

COUNT_WITHOUT_KEY: Final = f"""
select (select count(*) from students where {_UNKEYED}) as unkeyed,
    (select count(*) from students where {_COLLIDING}) as colliding
"""
