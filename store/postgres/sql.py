"""Every statement that the store sends, by name. Only the rules' constants come from elsewhere."""

from collections.abc import Mapping
from typing import Final

from rules import emails, history, idempotency, models, packs, search, shards, timeouts
from rules.models import Method, Status
from rules.suggestions import Outcome
from store.postgres.advisory import AdvisoryLock

#: Text, not a parameter: the planner needs it to use the partial indexes.
_PENDING: Final = f"status = '{Status.PENDING}'"


#: One of the ids $1. With the array itself, few of them look so much cheaper than what it may hold
#: that a plan is made anew each time: 60 to 120 us.
_AMONG: Final = "= any(array(select unnest($1::uuid[])))"

_LAST_ID: Final = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"


def _json_object(members: Mapping[str, str]) -> str:
    """Return arguments of concat() that build a JSON object from members that are JSON.

    A third faster than PostgreSQL's own functions for objects. concat() skips nulls.
    """
    return "'{" + ", ',".join(f'"{name}":\', {value}' for name, value in members.items()) + ", '}'"


def _json_id(column: str) -> str:
    return f"""'"', {column}, '"'"""


def _json_instant(column: str) -> str:
    """Return an instant as orjson writes it: in UTC, with microseconds unless they are 0."""
    text = f"""to_char({column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"""'"', replace({text}, '.000000Z', 'Z'), '"'"""


# --- requests with a key ------------------------------------------------------------------------

#: Held until the transaction ends. Two keys with one hash only wait for each other.
LOCK_KEYS: Final = f"""
select pg_try_advisory_xact_lock(
    {AdvisoryLock.IDEMPOTENCY_KEYS}, hashtext(concat_ws(' ', owner_id, key))
) as locked
from unnest($1::text[], $2::text[]) with ordinality as wanted (owner_id, key, position)
order by position
"""

_KEPT: Final = f"interval '{idempotency.KEPT.total_seconds()} seconds'"

#: Asked after LOCK_KEYS: its own snapshot would miss an answer committed while it looked.
KEPT_ANSWERS: Final = f"""
select owner_id, key, digest, status, headers, body
from unnest($1::text[], $2::text[]) as wanted (owner_id, key)
join idempotency_keys as kept using (owner_id, key)
where at > now() - {_KEPT}
"""

#: Leaves out those that have an answer in spite of the locks.
KEEP_ANSWERS: Final = f"""
insert into idempotency_keys as kept (owner_id, key, digest, status, headers, body)
select owner_id, key, digest, status, headers, body
from unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::jsonb[], $6::bytea[])
    as answer (owner_id, key, digest, status, headers, body)
on conflict (owner_id, key) do update set
    digest = excluded.digest, status = excluded.status, headers = excluded.headers,
    body = excluded.body, at = excluded.at
where kept.at <= now() - {_KEPT}
returning true
"""

#: At most $1. The time is asked again: a key may be taken anew between the two.
PURGE_KEYS: Final = f"""
delete from idempotency_keys
where at <= now() - {_KEPT} and (owner_id, key) in (
    select owner_id, key from idempotency_keys
    where at <= now() - {_KEPT} order by at limit $1
)
"""

# --- outbox -----------------------------------------------------------------------------------

#: The last step of every change. The order of the packs is the order of the ids.
INSERT_PACKS: Final = """
insert into outbox_packs (shard, messages, content)
select shard, messages, content
from unnest($1::smallint[], $2::integer[], $3::bytea[])
    with ordinality as pack (shard, messages, content, position)
order by position
"""


def _insert_packs_of(made: str, number: int) -> str:
    """Return SQL that packs the messages of what was made, from three parameters on."""
    arrays = f"${number}::uuid[], ${number + 1}::integer[], ${number + 2}::bytea[]"
    return f"""
    insert into outbox_packs (shard, messages, content)
    select pack % {shards.SHARDS}, count(*), string_agg(content, '' order by position)
    from unnest({arrays}) with ordinality as message (of_id, pack, content, position)
    where of_id in (select id from {made})
    group by pack order by pack
    """


#: Takes the leases of those of $1 in which something waits and that nobody else has: at most $2, in
#: their order, and not more than are fetched together. They end with the transaction, so a lease
#: cannot outlive its worker. The limit is a subquery so that the plan is kept: with a number it is
#: made anew each time.
LEASE_SHARDS: Final = f"""
select shard from (
    select shard from (
        select shard, sum(size) over (order by place) - size as before
        from unnest($1::integer[]) with ordinality as one (shard, place)
        cross join lateral (
            select octet_length(content) as size from outbox_packs as pack
            where pack.shard = one.shard::smallint order by id limit 1
        ) as first_pack
    ) as sized
    where before < {packs.LEASED_BYTES}
    offset 0
) as waiting
where pg_try_advisory_xact_lock({AdvisoryLock.SHARDS}, shard) limit (select $2::integer)
"""

#: The first packs of the shards whose bits are set in $1. It is a statement of its own, after the
#: leases: who had them before has committed. Bits, since with an array the plan is made anew.
FETCH_PACKS: Final = f"""
select pack.shard, pack.id, pack.content,
    (select id from outbox_set_aside order by shard, id limit 1) is not null as some_set_aside
from generate_series(0, {shards.SHARDS - 1}) as leased (shard)
cross join lateral (
    select shard, id, content,
        sum(octet_length(content)) over (order by id) as size
    from (
        select shard, id, content from outbox_packs where shard = leased.shard::smallint
        order by id limit {packs.FETCHED_PACKS}
    ) as first_packs
) as pack
where $1::integer >> leased.shard & 1 = 1
    and (size <= {packs.FETCHED_BYTES} or size = octet_length(content))
order by pack.shard, pack.id
"""

#: An id is one pack's; the shards are named for the index.
DELETE_PACKS: Final = """
delete from outbox_packs where shard = any($1::smallint[]) and id = any($2::bigint[])
"""

#: Which messages have an earlier one of their topic and key set aside; without a key none has.
HELD: Final = """
select place from unnest($1::smallint[], $2::text[], $3::bytea[])
    with ordinality as message (shard, topic, key, place)
where exists (
    select from outbox_set_aside as earlier
    where earlier.shard = message.shard and earlier.topic = message.topic
        and sha256(earlier.key) = sha256(message.key)
)
"""

# --- what the broker refuses for good -----------------------------------------------------------

#: Before their packs go.
SET_ASIDE: Final = """
insert into outbox_set_aside (shard, id, topic, key, value, headers, created_at, reason)
select shard, message.id, topic, key, value, headers, pack.created_at, reason
from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[],
    $7::bytea[], $8::text[])
    as message (shard, pack, id, topic, key, value, headers, reason)
join outbox_packs as pack using (shard) where pack.id = message.pack
"""

REFUSED: Final = """
select id, topic, key, headers, reason, set_aside_at,
    coalesce(octet_length(value), 0) as value_size,
    (select count(*) from outbox_set_aside as behind
        where behind.shard = refused.shard and behind.topic = refused.topic
            and sha256(behind.key) = sha256(refused.key) and behind.reason is null) as waiting
from outbox_set_aside as refused
where reason is not null
order by set_aside_at, id
"""

COUNT_SET_ASIDE: Final = """
select count(*) filter (where reason is not null) as refused,
    count(*) filter (where reason is null) as waiting
from outbox_set_aside
"""

#: Waits until no relay has the lease of these messages' shards, and takes the leases.
AWAIT_SHARDS: Final = f"""
select pg_advisory_xact_lock({AdvisoryLock.SHARDS}, shard::integer) from (
    select distinct shard from outbox_set_aside where id = any($1::bigint[]) order by shard
) as shards
"""

#: Which of the given messages are refused, and what leaves with each: itself, and all behind it.
_ENDED: Final = """
with ended as (
    select shard, id, topic, sha256(key) as digest from outbox_set_aside
    where id = any($1::bigint[]) and reason is not null
), leaving as (
    delete from outbox_set_aside where (shard, id) in (
        select shard, id from ended
        union
        select behind.shard, behind.id from ended
        join outbox_set_aside as behind on behind.shard = ended.shard
            and behind.topic = ended.topic and sha256(behind.key) = ended.digest
    )
    returning *
), put_back as (
    insert into outbox_packs (shard, id, messages, content, created_at) overriding system value
    select shard, id, 1, outbox_piece(topic, key, value, headers), created_at
    from leaving {of_these}
)
select id from ended order by id
"""

RETRY_REFUSED: Final = _ENDED.format(of_these="")

DROP_REFUSED: Final = _ENDED.format(of_these="where reason is null")

#: On it processes without a relay announce that they committed something to publish.
CHANNEL: Final = "class_management_outbox"

ANNOUNCE_COMMIT: Final = f"notify {CHANNEL}"

KEEP_ALIVE: Final = "select"

#: The types of all parameters and columns that are not built into the driver.
EVERY_TYPE: Final = """
select $1::smallint[], $2::integer[], $3::bigint[], $4::float8[], $5::text[],
    $6::bytea[], $7::uuid[], $8::timestamptz[], $9::jsonb[], $10::json[], $11::boolean[]
"""

# --- changes ----------------------------------------------------------------------------------

#: Every statement that changes something ends with the correlation ids of what is to be remembered
#: of it, in arrays: empty ones, and nothing is.
_INSERT_CHANGES: Final = """
insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
    before, after)
"""

INSERT_CHANGES: Final = f"""
{_INSERT_CHANGES}
select owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id, before, after
from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::integer[], $7::text[],
    $8::uuid[], $9::json[], $10::json[]) with ordinality
    as change (owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
        before, after, position)
order by position
"""


def _column(attribute: str) -> str:
    return attribute.rpartition(".")[2]


def _columns(members: Mapping[str, str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{_column(attribute)}" for attribute in members.values())


def _old(members: Mapping[str, str]) -> str:
    """Return what a statement returns of the row `old` for `_values` with the prefix `old_`."""
    return ", ".join(f"old.{_column(a)} as old_{_column(a)}" for a in members.values())


#: Columns whose text is a JSON string's, and one that is a number.
_QUOTED: Final = {"batch_id", "suggested_student_id", "student_id", "status", "method"}
_NUMBER: Final = "confidence"


def _value(column: str, prefix: str) -> str:
    """Return a column as JSON, null where it is null."""
    if column in _QUOTED:
        return f"""'"' || {prefix}{column} || '"'"""
    text = f"{prefix}{column}" if column == _NUMBER else f"to_json({prefix}{column})"
    return f"{text}::text"


def _whole(members: Mapping[str, str], prefix: str = "") -> str:
    """Return the same as rules.history.whole; the first member is never null.

    Half as expensive as PostgreSQL's own functions for objects. concat() skips nulls.
    """
    (first, *others) = ((f'"{n}":', _value(_column(a), prefix)) for n, a in members.items())
    pairs = (f"',{name}' || {value}" for name, value in others)
    return f"concat('{{{first[0]}', {first[1]}, {', '.join(pairs)}, '}}')::json"


def _values(members: Mapping[str, str], prefix: str = "") -> str:
    """Return the same as rules.history.values."""
    pairs = {n: f"coalesce({_value(_column(a), prefix)}, 'null')" for n, a in members.items()}
    return f"concat({_json_object(pairs)})::json"


_CLASS_MEMBERS: Final = _columns(history.CLASS_MEMBERS)
_STUDENT_MEMBERS: Final = _columns(history.STUDENT_MEMBERS)


# --- classes ----------------------------------------------------------------------------------

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
    returning id, owner_id, version, created_at, updated_at, {_CLASS_MEMBERS}
), published as (
    {_insert_packs_of("made", 5)}
), remembered as (
    {_INSERT_CHANGES}
    select owner_id, 'class', id, id, 'created', version, owner_id, correlation_id,
        null, {_whole(history.CLASS_MEMBERS)}
    from made join unnest($1::uuid[], $8::uuid[]) as cause (of_id, correlation_id) on of_id = id
    where correlation_id is not null
)
select *, 0 as student_count from made
"""


def _unknown_address(class_id: str) -> str:
    """Return SQL for what rules.timeouts.unknown_student_email returns."""
    return f"'unknown.' || {class_id} || '@{emails.OWN_DOMAIN}'"


#: Enrolments are counted in their index alone; only the placeholder's student is looked at.
_CLASS_COLUMNS: Final = f"""
classes.id, classes.owner_id, classes.name, classes.course_code, classes.external_id,
classes.version, classes.created_at, classes.updated_at,
(select count(*) from enrollments where enrollments.class_id = classes.id) - (
    select count(*) from students
    join enrollments
        on enrollments.student_id = students.id and enrollments.class_id = classes.id
    where students.is_placeholder and students.owner_id = classes.owner_id
        and lower(students.email) = {_unknown_address("classes.id")}
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

#: The same for a class as CLAIM_EXTERNAL_IDS for students.
CLAIM_CLASS_EXTERNAL_ID: Final = """
insert into classes (id, owner_id, name, course_code, external_id) values ($1, $2, '-', $3, $4)
on conflict do nothing returning id
"""

DROP_CLASS_CLAIM: Final = "delete from classes where id = $1"

#: At most $2 and one more, behind the place ($4, $5).
LIST_CLASSES: Final = f"""
select {_CLASS_COLUMNS} from classes
where owner_id = $1 and (created_at, id)
    < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, {_LAST_ID}))
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
        {_columns(history.CLASS_MEMBERS, "classes.")}, {_old(history.CLASS_MEMBERS)}
), remembered as (
    {_INSERT_CHANGES}
    select owner_id, 'class', id, id, 'updated', version, owner_id, correlation_id,
        {_values(history.CLASS_MEMBERS, "old_")}, {_values(history.CLASS_MEMBERS)}
    from made cross join unnest($4::uuid[]) as correlation_id
)
select version, updated_at from made
"""

#: Its enrolments would go without it, but unremembered.
DELETE_CLASS: Final = f"""
with left_by as (
    delete from enrollments where class_id = $1 returning owner_id, student_id
), gone as (
    delete from classes where id = $1 returning owner_id, version, {_CLASS_MEMBERS}
)
{_INSERT_CHANGES}
select owner_id, 'enrollment', student_id, $1, 'deleted', null::integer, owner_id, correlation_id,
    null::json, null::json
from left_by cross join unnest($2::uuid[]) as correlation_id
union all
select owner_id, 'class', $1, $1, 'deleted', version, owner_id, correlation_id,
    {_whole(history.CLASS_MEMBERS)}, null
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
    count(essay_id) filter (where {_PENDING}) as associations_pending
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
select id, owner_id, name, course_code from classes where id {_AMONG} order by id for key share
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

#: The student of an enrolment. `offset 0` forces a join by the index: the planner considers reading
#: a few thousand students from end to end cheaper than finding thirty.
_ENROLLED: Final = """
lateral (select * from students where students.id = enrollments.student_id offset 0) as students
"""

#: How many students classes have, without the UNKNOWN one.
CLASS_SIZES: Final = f"""
select wanted.id as id, (
    select count(*) from enrollments cross join {_ENROLLED}
    where enrollments.class_id = wanted.id and not students.is_placeholder
) as size
from unnest($1::uuid[]) as wanted (id)
"""

# --- students ---------------------------------------------------------------------------------

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
    returning id, owner_id, version, {_STUDENT_MEMBERS}
), enrolled as (
    insert into enrollments (class_id, student_id, owner_id)
    select class_id, made.id, made.owner_id
    from unnest($7::uuid[], $8::uuid[]) as enrollment (class_id, student_id)
    join made on made.id = student_id
    returning owner_id, student_id, class_id
), published as (
    {_insert_packs_of("made", 9)}
), remembered as (
    {_INSERT_CHANGES}
    select owner_id, entity, id, class_id, 'created', version, made_by, correlation_id, null, after
    from (
        select owner_id, 'student' as entity, id, null::uuid as class_id, version,
            {_whole(history.STUDENT_MEMBERS)} as after
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

_CLASS_IDS: Final = """array(
    select class_id from enrollments where enrollments.student_id = students.id order by class_id
)"""

_STUDENT_COLUMNS: Final = f"""
students.id, students.owner_id, students.first_name, students.last_name,
students.legal_full_name, students.email, students.external_id, students.version,
students.created_at, students.updated_at, students.is_placeholder,
{_CLASS_IDS} as class_ids
"""

STUDENTS_BY_ID: Final = f"select {_STUDENT_COLUMNS} from students where id = any($1::uuid[])"

#: For `?external_id=`, as CLASS_CALLED.
STUDENT_CALLED: Final = f"""
select {_STUDENT_COLUMNS} from students where owner_id = $1 and external_id = $2
"""

GET_STUDENT: Final = f"select {_STUDENT_COLUMNS} from students where id = $1 and owner_id = $2"

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

#: All at once, not one by one: the ids of who came together lie together in the index.
_OF_CLASS: Final = """
from students where students.id = any(array(
    select student_id from enrollments where enrollments.class_id = classes.id
))
"""
_BY_NAME: Final = "order by students.last_name, students.first_name, students.id"

_EMAIL_JSON: Final = "coalesce(to_json(students.email)::text, 'null')"

#: The same as rules.documents.student_json.
_STUDENT_JSON: Final = _json_object(
    {
        "id": _json_id("students.id"),
        "person_name": _json_object(
            {
                "first_name": "to_json(students.first_name)",
                "last_name": "to_json(students.last_name)",
                "legal_full_name": "to_json(students.legal_full_name)",
            }
        ),
        "first_name": "to_json(students.first_name)",
        "last_name": "to_json(students.last_name)",
        "full_name": "to_json(students.legal_full_name)",
        "email": _EMAIL_JSON,
        "external_id": "coalesce(to_json(students.external_id)::text, 'null')",
        "class_ids": f"array_to_json({_CLASS_IDS})",
        "is_placeholder": "students.is_placeholder::text",
        "created_at": _json_instant("students.created_at"),
        "updated_at": _json_instant("students.updated_at"),
    }
)

#: The same as rules.documents.class_detail_json.
_CLASS_JSON: Final = _json_object(
    {
        "id": _json_id("classes.id"),
        "name": "to_json(classes.name)",
        "course_code": "to_json(classes.course_code)",
        "external_id": "coalesce(to_json(classes.external_id)::text, 'null')",
        "student_count": "members.student_count",
        "created_at": _json_instant("classes.created_at"),
        "updated_at": _json_instant("classes.updated_at"),
        "students": "'[', members.students, ']'",
    }
)

#: A class with its students as UTF-8 JSON, in bytes, and how many students it counts.
CLASS_DOCUMENT: Final = f"""
select members.student_count, convert_to(concat({_CLASS_JSON}), 'UTF8') as document
from classes cross join lateral (
    select count(*) filter (where not students.is_placeholder) as student_count,
        string_agg(concat({_STUDENT_JSON}), ',' {_BY_NAME}) as students
    {_OF_CLASS}
) as members
where classes.id = $1 and ($2::text is null or classes.owner_id = $2)
"""

#: The same as a member of rules.documents.roster_json.
_ROSTER_JSON: Final = _json_object(
    {
        "student_id": _json_id("students.id"),
        "first_name": "to_json(students.first_name)",
        "last_name": "to_json(students.last_name)",
        "full_legal_name": "to_json(students.legal_full_name)",
        "email": _EMAIL_JSON,
    }
)

#: Who is in a class as UTF-8 JSON, in bytes.
ROSTER_DOCUMENT: Final = f"""
select convert_to(
    concat('{{"students":[', (
        select string_agg(concat({_ROSTER_JSON}), ',' {_BY_NAME})
        {_OF_CLASS} and not students.is_placeholder
    ), ']}}'), 'UTF8')
from classes where classes.id = $1 and ($2::text is null or classes.owner_id = $2)
"""

_LONGEST_TRANSACTION: Final = f"interval '{search.LONGEST_TRANSACTION.total_seconds()} seconds'"

#: A page of an owner's students, in Python's order, whatever the database's. It begins after the
#: key ($2, $3, $4); $5 and $6 are `since` and `again` of rules.search.Position. Only what needs it
#: is normalised, which takes far longer than to look; `offset 0` has the text made once. Who has an
#: address is found by it: the other half of the union is not begun then.
FIND_STUDENTS: Final = f"""
select {_STUDENT_COLUMNS}, students.again, now() as read_at from (
    select students.*, is_behind is false or $6::boolean is true as again
    from (
        select * from students where owner_id = $1 and $8::text is null
        union all
        select * from students
        where owner_id = $1 and $8 is not null and (email_key = $11 or lower(email) = lower($8))
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
        and ($9::uuid is null or exists (
            select from enrollments where class_id = $9 and student_id = students.id
        ))
    order by again, last_name collate "C", first_name collate "C", id limit $10
) as students
order by again, last_name collate "C", first_name collate "C", id
"""

#: What positions in lists of people are sealed with.
CURSOR_KEY: Final = "select key from cursor_keys"

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
        {_columns(history.STUDENT_MEMBERS, "students.")}, {_old(history.STUDENT_MEMBERS)}
), remembered as (
    {_INSERT_CHANGES}
    select $7, entity, $1, class_id, kind, version, $7, correlation_id, before, after
    from (
        select 'student' as entity, null::uuid as class_id, 'updated' as kind, version,
            {_values(history.STUDENT_MEMBERS, "old_")} as before,
            {_values(history.STUDENT_MEMBERS)} as after
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

#: Both students of a merge, with the keys of their addresses, as far as these are up to date.
LOCK_MERGED: Final = """
select id, case when keyed_email = email then email_key end as email_key from students
where id = any($1::uuid[]) and owner_id = $2 order by id for update
"""

#: The classes that any of an owner's students is in.
CLASSES_OF_STUDENTS: Final = """
select distinct class_id from enrollments
where student_id = any($1::uuid[]) and owner_id = $2
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

#: True of suggestions that name the student $1.
_SUGGESTS: Final = "suggestions @> jsonb_build_array(jsonb_build_object('student_id', $1::uuid))"

#: Takes back what claims inserted: they were never students.
DROP_CLAIMS: Final = f"delete from students where id {_AMONG}"

#: The class of an association's batch, also of a deleted class.
_CLASS_OF_BATCH: Final = "coalesce(batches.class_id, batches.deleted_class_id)"

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
    returning associations.essay_id, {_CLASS_OF_BATCH} as class_id,
        associations.suggested_student_id, associations.student_id,
        decided.suggested_student_id as old_suggested_student_id,
        decided.student_id as old_student_id
), gone as (
    delete from students where id = $1 returning owner_id, version, {_STUDENT_MEMBERS}
)
{_INSERT_CHANGES}
select gone.owner_id, entity, change.id, class_id, kind, change.version, gone.owner_id,
    correlation_id, before, after
from (
    select 'association' as entity, essay_id as id, class_id, 'updated' as kind,
        null::integer as version, {_values(history.REFERENCE_MEMBERS, "old_")} as before,
        {_values(history.REFERENCE_MEMBERS)} as after
    from cleared
    union all
    select 'enrollment', $1, class_id, 'deleted', null, null, null from left_by
    union all
    select 'student', $1, null, 'deleted', version, {_whole(history.STUDENT_MEMBERS)}, null
    from gone
) as change
cross join gone cross join unnest($2::uuid[]) as correlation_id
"""

#: The batches in which a student is still only suggested, of the classes $3 (null is all); all
#: transactions lock batches before students.
LOCK_BATCHES_SUGGESTING: Final = f"""
select id from batches
where id in (
    select batch_id from associations
    join students on students.id = associations.suggested_student_id
    where students.id = $1 and students.owner_id = $2 and {_PENDING}
) and ($3::uuid[] is null or class_id = any($3::uuid[]))
order by id for update
"""

#: In the batches of the classes $2; null is all. Done by $5, in the name of the owner, $3.
WITHDRAW_SUGGESTIONS: Final = f"""
with withdrawn as (
    update associations set suggested_student_id = null, confidence = 0, match_reasons = '{{}}'
    from associations as old join batches on batches.id = old.batch_id
    where associations.essay_id = old.essay_id and associations.suggested_student_id = $1
        and associations.{_PENDING}
        and ($2::uuid[] is null or batches.class_id = any($2::uuid[]))
    returning associations.essay_id, {_CLASS_OF_BATCH} as class_id,
        {_columns(history.SUGGESTION_MEMBERS, "associations.")}, {_old(history.SUGGESTION_MEMBERS)}
)
{_INSERT_CHANGES}
select $3, 'association', essay_id, class_id, 'updated', null::integer, $5, correlation_id,
    {_values(history.SUGGESTION_MEMBERS, "old_")}, {_values(history.SUGGESTION_MEMBERS)}
from withdrawn cross join unnest($4::uuid[]) as correlation_id
"""

# --- UNKNOWN students -------------------------------------------------------------------------

#: Who has the address of a class's UNKNOWN student, in whatever spelling: itself, one that an older
#: version made, or a student who was given the address.
ADDRESS_HOLDERS: Final = f"""
select wanted.class_id, {_STUDENT_COLUMNS}
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
    select from associations where suggested_student_id = students.id and {_PENDING} limit 1
) as pending
where is_placeholder order by owner_id, lower(email) limit $1
"""

# --- the keys of addresses ----------------------------------------------------------------------

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

#: Takes keys by rows of their own, as CLAIM_EMAIL does; returns those that were free.
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

# --- inbox and suggestions --------------------------------------------------------------------

HANDLED_BEFORE: Final = "select id from inbox where id = any($1::uuid[])"

ENTER_INBOX: Final = """
insert into inbox (id) select id from unnest($1::uuid[]) as id order by id
on conflict do nothing returning id
"""

#: Like ENTER_INBOX, with the delivery that brings each command.
ENTER_COMMANDS: Final = """
insert into inbox (id, delivery)
select id, delivery from unnest($1::uuid[], $2::uuid[]) as command (id, delivery) order by id
on conflict do nothing returning id
"""

#: A row without a delivery is not of a command.
FIRST_DELIVERIES: Final = "select id, delivery from inbox where id = any($1::uuid[])"

ENTERED_BY_COMMANDS: Final = """
select id from inbox where id = any($1::uuid[]) and delivery is not null
"""

#: For messages that are not commands.
LEAVE_INBOX: Final = "delete from inbox where id = any($1::uuid[]) and delivery is null"

PURGE_INBOX: Final = "delete from inbox where handled_at < now() - make_interval(days => $1)"

HELD_BATCHES: Final = "select distinct batch_id from parked where batch_id = any($1::uuid[])"

LOCK_BATCHES: Final = """
select id, class_id, closed_at, correlation_id, traceparent, deleted_class_id, timeout_triggered
from batches
where id = any($1::uuid[]) order by id for update
"""

#: Asked after LOCK_BATCHES: a count in its statement would miss what it waited for.
BATCH_SIZES: Final = """
select batch_id, count(*) as essays from associations
where batch_id = any($1::uuid[]) group by batch_id
"""

#: Which of the suggested students exist, and in which of the classes they can be suggested: an
#: UNKNOWN student nowhere, nor one of an older version, which is known by its address.
STUDENTS_IN_CLASSES: Final = f"""
select students.id, enrollments.class_id from students
left join enrollments
    on enrollments.student_id = students.id and enrollments.class_id = any($2::uuid[])
        and not students.is_placeholder
        and lower(students.email) is distinct from {_unknown_address("enrollments.class_id")}
where students.id = any($1::uuid[])
"""

ASSOCIATED_ESSAYS: Final = """
select essay_id, batch_id from associations where essay_id = any($1::uuid[])
"""

INSERT_BATCHES: Final = """
insert into batches (id, class_id, correlation_id, traceparent)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])
"""

#: $2 numbers the message that each essay came with, of which $10 to $13 tell batch, owner, class
#: and correlation id. $8 are the essays that are confirmed at once.
INSERT_ASSOCIATIONS: Final = f"""
with new as (
    select essay_id, batch_id, suggested_student_id, confidence, match_reasons, filename,
        suggestions, essay_id = any($8::uuid[]) as is_certain, owner_id, class_id, correlation_id
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::float8[], $5::text[], $6::text[],
        $7::jsonb[]) as essay (essay_id, number, suggested_student_id, confidence, match_reasons,
            filename, suggestions)
    join unnest($10::uuid[], $11::text[], $12::uuid[], $13::uuid[]) with ordinality
        as message (batch_id, owner_id, class_id, correlation_id, position) on position = number
), made as (
    insert into associations (essay_id, batch_id, suggested_student_id, confidence, match_reasons,
        confirm_by, status, method, student_id, validated_by, validated_at, filename, suggestions)
    select essay_id, batch_id, suggested_student_id, confidence, match_reasons::text[], $9,
        case when is_certain then '{Status.CONFIRMED}' else '{Status.PENDING}' end,
        case when is_certain then '{Method.AUTO}' end,
        case when is_certain then suggested_student_id end,
        case when is_certain then '{models.SYSTEM_AUTO}' end,
        case when is_certain then now() end, filename, suggestions
    from new
)
{_INSERT_CHANGES}
select owner_id, 'association', essay_id, class_id, 'created', null::integer,
    '{models.SYSTEM_AUTO}', correlation_id, null::json, null::json
from new where correlation_id is not null
"""

#: Who of the suggested students has left its class since STUDENTS_IN_CLASSES. Asked after
#: INSERT_ASSOCIATIONS, whose foreign key keeps them from leaving until the transaction ends.
LEFT_MEANWHILE: Final = """
select chosen.student_id from unnest($1::uuid[], $2::uuid[]) as chosen (class_id, student_id)
where (
    select student_id from enrollments
    where enrollments.class_id = chosen.class_id and enrollments.student_id = chosen.student_id
) is null limit 1
"""

PARK: Final = """
insert into parked (event_id, batch_id, topic, partition, "offset", timestamp_ms,
    key, value, headers, next_try_at, deadline)
select event_id, batch_id, topic, partition, "offset", timestamp_ms, key, value, headers,
    now() + make_interval(secs => $10), now() + make_interval(secs => $11)
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[],
    $7::bytea[], $8::bytea[], $9::bytea[]) with ordinality
    as new (event_id, batch_id, topic, partition, "offset", timestamp_ms, key, value, headers,
        position)
order by position
"""

#: Due messages and all others of their batches, which so keep their order.
LOCK_PARKED: Final = """
select event_id, topic, partition, "offset", timestamp_ms, key, value, headers, attempts,
    deadline <= now() as expired
from parked
where batch_id in (
    select batch_id from parked where next_try_at <= now()
    group by batch_id order by min(id) limit $1
)
order by id for update skip locked
"""

POSTPONE_PARKED: Final = """
update parked set attempts = attempts + 1,
    next_try_at = now() + make_interval(secs => tried.pause)
from unnest($1::uuid[], $2::float8[]) as tried (event_id, pause)
where parked.event_id = tried.event_id
"""

UNPARK: Final = "delete from parked where event_id = any($1::uuid[])"

# --- dead letters that people decided about -----------------------------------------------------

DECISIONS: Final = """
select letter, decision, decided_at, replay_id, outcome, reason, outcome_at
from dead_letter_decisions where letter = any($1::uuid[])
"""

#: Returns the letters it decides about; those decided about before only if $5 is true.
DECIDE_LETTERS: Final = """
insert into dead_letter_decisions (letter, address, decision, replay_id)
select letter, address, decision, replay_id
from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
    as decided (letter, address, decision, replay_id)
order by letter
on conflict (letter) do update set decision = excluded.decision, decided_at = now(),
    replay_id = excluded.replay_id, outcome = null, reason = null, outcome_at = null
where $5::boolean
returning letter
"""

COUNT_DECIDED: Final = """
with decided as (
    select distinct split_part(address, '/', 1) as topic,
        split_part(address, '/', 2)::integer as partition,
        split_part(address, '/', 3)::bigint as place
    from dead_letter_decisions
)
select topic, count(*) as letters
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[])
    as log (topic, partition, first, past) join decided using (topic, partition)
where place >= first and place < past
group by topic
"""

#: The same condition as `rules.dead_letters.replays.advances`.
NOTE_REPLAYS: Final = f"""
update dead_letter_decisions
set outcome = ended.outcome, reason = ended.reason, outcome_at = now()
from unnest($1::uuid[], $2::text[], $3::text[]) as ended (replay_id, outcome, reason)
where dead_letter_decisions.replay_id = ended.replay_id
    and (dead_letter_decisions.outcome is null
        or dead_letter_decisions.outcome = '{Outcome.PARKED}'
            and ended.outcome <> '{Outcome.DUPLICATE}')
"""

SENT_REPLAYS: Final = """
select replay_id from dead_letter_decisions where replay_id = any($1::uuid[])
"""

FORGET_DECISIONS: Final = """
delete from dead_letter_decisions where decided_at < now() - make_interval(days => $1)
"""

# --- progress ---------------------------------------------------------------------------------

PROGRESS: Final = """
select partition, next_offset from consumer_progress where consumer_group = $1 and topic = $2
"""

#: Not deleted: 0 is below whatever Kafka says that the group has read.
FORGET_PROGRESS: Final = """
update consumer_progress set next_offset = 0, updated_at = now()
where consumer_group = $1 and topic = $2
"""

#: Backwards, too: the newest is what was read last, and progress never becomes untrue.
KEEP_PROGRESS: Final = """
insert into consumer_progress (consumer_group, topic, partition, next_offset)
select consumer_group, topic, partition, next_offset
from unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
    as reached (consumer_group, topic, partition, next_offset)
order by consumer_group, topic, partition
on conflict (consumer_group, topic, partition) do update
set next_offset = excluded.next_offset, updated_at = now()
"""

# --- batches and decisions --------------------------------------------------------------------

_ASSOCIATION_COLUMNS: Final = """
associations.essay_id, associations.batch_id, associations.suggested_student_id,
associations.student_id, associations.confidence, associations.match_reasons,
associations.status, associations.method, associations.validated_by, associations.validated_at,
associations.created_at, associations.confirm_by
"""

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
cross join {_ENROLLED}
"""


def _shown(condition: str) -> str:
    """Return a read of the owner's ($2) batch $1 with the associations that meet a condition.

    Where there are none it is one row of nulls. The names come with the first row alone.
    """
    return f"""
with batch as (
    select batches.class_id, batches.closed_at, now() as now, (
        select coalesce(min(confirm_by) filter (where {_PENDING}), max(confirm_by))
        from associations where associations.batch_id = batches.id
    ) as open_until
    from batches join classes on classes.id = batches.class_id
    where batches.id = $1 and classes.owner_id = $2
), page as materialized (
    select {_ASSOCIATION_COLUMNS}, associations.filename, associations.suggestions
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
        where associations.batch_id = batches.id and {_PENDING}
    ) as soonest
    where $4::boolean
        and ($5::timestamptz is null or (soonest.at, batches.id) > ($5, $6::uuid))
    order by soonest.at, batches.id limit $3::bigint + 1
), closed as (
    select latest.* from owned cross join lateral (
        select id, class_id, created_at, closed_at from batches
        where batches.class_id = owned.id and closed_at is not null
            and (closed_at, id) < (coalesce($8::timestamptz, 'infinity'), coalesce($9, {_LAST_ID}))
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
    select count(*) as total, count(*) filter (where {_PENDING}) as pending,
        count(*) filter (where {_PENDING} and suggested_student_id is null) as unmatched,
        count(*) filter (where {_PENDING} and suggested_student_id is not null
            and confidence >= $10::float8) as certain,
        min(confirm_by) filter (where {_PENDING}) as confirm_by
    from associations where associations.batch_id = page.id
) as counted on true
order by page.place
"""

VALIDATION_STATUS: Final = f"""
select batches.id as batch_id, counted.*
from batches
cross join lateral (
    select count(*) filter (where {_PENDING}) as pending,
        min(confirm_by) filter (where {_PENDING}) as confirm_by,
        count(*) as total,
        count(*) filter (where status in ('{Status.CONFIRMED}', '{Status.TIMEOUT_CONFIRMED}'))
            as confirmed
    from associations where associations.batch_id = batches.id
) as counted
where batches.id = any($1::uuid[])
"""

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
select {_ASSOCIATION_COLUMNS} from associations
where batch_id = any($1::uuid[]) order by batch_id, created_at, essay_id
"""

MEMBERS_AMONG: Final = """
select student_id from enrollments where class_id = $1 and student_id = any($2::uuid[])
"""

#: What is undecided, as rules.history tells it.
_UNDECIDED: Final = f"""
    '{{"student_id":null,"validation_status":"{Status.PENDING}","validation_method":null,'
    '"validated_by":null}}'
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
    returning essay_id, {_columns(history.DECISION_MEMBERS, "associations.")}
)
{_INSERT_CHANGES}
select $4, 'association', essay_id, $5, 'updated', null::integer, $4, correlation_id,
    {_UNDECIDED}, {_values(history.DECISION_MEMBERS)}
from decided cross join unnest($6::uuid[]) as correlation_id
"""

# --- corrections and merges ---------------------------------------------------------------------

#: Keeps the student decided for an essay, and the one to be decided, from being deleted or merged:
#: who does that has them before their associations.
SHARE_DECIDED: Final = """
select id from students
where owner_id = $3 and id = any(
    array(select student_id from associations where essay_id = $1) || $2::uuid
)
order by id for key share
"""

#: By the time of the statement: the decision that stood may be younger than the transaction.
CORRECT: Final = f"""
with former as (
    insert into association_history (essay_id, number, status, method, student_id, validated_by,
        validated_at)
    select essay_id,
        (select coalesce(max(number), 0) + 1 from association_history where essay_id = $1),
        status, method, student_id, validated_by, validated_at
    from associations where essay_id = $1
)
update associations set status = $2, method = '{Method.HUMAN}', student_id = $3,
    validated_by = $4, validated_at = clock_timestamp()
where essay_id = $1
"""

NOTE_TIMEOUT: Final = "update batches set timeout_triggered = true where id = $1"

#: Every decision on an essay, the one that stands last.
ESSAY_HISTORY: Final = """
select status, method, student_id, validated_by, validated_at from (
    select number, status, method, student_id, validated_by, validated_at
    from association_history where essay_id = $1
    union all
    select null, status, method, student_id, validated_by, validated_at
    from associations where essay_id = $1 and method is not null
) as decisions
order by number nulls last
"""

#: What names the student $1: as suggested first or decided, and among the suggestions of batches of
#: these classes. In one order, since two merges may meet.
LOCK_REFERRING: Final = f"""
select {_ASSOCIATION_COLUMNS}, batches.class_id, batches.deleted_class_id
from associations join batches on batches.id = associations.batch_id
where essay_id in (
    select essay_id from associations where suggested_student_id = $1
    union
    select essay_id from associations where student_id = $1
    union
    select essay_id from batches as of_class
    join associations on associations.batch_id = of_class.id
    where of_class.class_id = any($2::uuid[]) and {_SUGGESTS}
)
order by essay_id for update of associations
"""

#: Of two suggestions of one student the first remains, as in rules.merging.moved_suggestions.
MOVE_ASSOCIATIONS: Final = f"""
update associations set
    suggested_student_id =
        case when suggested_student_id = $1 then $2 else suggested_student_id end,
    student_id = case when student_id = $1 then $2 else student_id end,
    suggestions = case when not {_SUGGESTS} then suggestions else (
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

#: Whether PostgreSQL's clock decides. A difference, and not `confirm_by <= now()`: the planner
#: would estimate that from what is due when it plans, which is next to nothing, and a flood would
#: get a plan for one row.
_DUE: Final = f"{_PENDING} and confirm_by - now() <= interval '0'"

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
select essay_id, batch_id, {_PENDING} as pending, {_DUE} as due, confirm_by, confidence,
    case when {_DUE} then (
        select enrollments.student_id from enrollments
        where enrollments.class_id = of_batch.class_id
            and enrollments.student_id = suggested_student_id
    ) end as suggested_student_id
from associations
join unnest($1::uuid[], $2::uuid[]) as of_batch (id, class_id) on of_batch.id = batch_id
where batch_id = any($1::uuid[])
"""

#: What the events of a closing batch need of an essay.
_CLOSING_COLUMNS: Final = """
essay_id, batch_id, suggested_student_id, student_id, confidence, status, method, validated_by,
validated_at, created_at, confirm_by
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
    returning {_CLOSING_COLUMNS},
        extract(epoch from clock_timestamp() - confirm_by)::float8 as lateness
), remembered as (
    {_INSERT_CHANGES}
    select owner_id, 'association', essay_id, class_id, 'updated', null, $4, correlation_id,
        {_UNDECIDED}, {_values(history.DECISION_MEMBERS)}
    from decided join unnest($5::uuid[], $6::text[], $7::uuid[], $8::uuid[])
        as cause (of_batch, owner_id, class_id, correlation_id) on of_batch = batch_id
)
select decided.*, students.first_name, students.last_name, students.email, students.is_placeholder
from decided join students on students.id = decided.student_id
order by decided.batch_id, decided.created_at, decided.essay_id
"""

BATCH_STATES: Final = f"""
select batches.id, batches.class_id, batches.closed_at, batches.correlation_id,
    batches.traceparent, batches.deleted_class_id, batches.timeout_triggered,
    counted.total, counted.pending, counted.confirm_by, now() as now
from batches
cross join lateral (
    select count(*) as total,
        count(*) filter (where {_PENDING}) as pending,
        min(confirm_by) filter (where {_PENDING}) as confirm_by
    from associations where associations.batch_id = batches.id
) as counted
where batches.id = any($1::uuid[])
order by batches.id
"""

CLOSE_BATCHES: Final = "update batches set closed_at = now() where id = any($1::uuid[])"

CLOSING_ASSOCIATIONS: Final = f"""
select closing.*, students.first_name, students.last_name, students.email, students.is_placeholder
from (
    select {_CLOSING_COLUMNS} from associations where batch_id = any($1::uuid[])
) as closing
left join lateral (
    select first_name, last_name, email, is_placeholder
    from students where id = closing.student_id offset 0
) as students on true
order by closing.batch_id, closing.created_at, closing.essay_id
"""

#: Of a class that nobody knows, so nobody remembers it.
DELETE_PENDING: Final = f"""
delete from associations where batch_id = any($1::uuid[]) and {_PENDING}
"""

#: In the name of $2, who deleted the class $4 of these batches, whose owner is $3.
REJECT_PENDING: Final = f"""
with rejected as (
    update associations set status = '{Status.REJECTED}', method = '{Method.HUMAN}',
        student_id = null, validated_by = $2, validated_at = now()
    where batch_id = $1 and {_PENDING}
    returning essay_id, {_columns(history.DECISION_MEMBERS)}
), remembered as (
    {_INSERT_CHANGES}
    select $3, 'association', essay_id, $4, 'updated', null, $2, correlation_id,
        {_UNDECIDED}, {_values(history.DECISION_MEMBERS)}
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
    select essay_id from associations where batch_id = batches.id and {_PENDING} limit 1
) is null
order by class_id, id limit $1
"""

#: Reads a few thousand essays only: in a flood there are many more. Without a class the clock has
#: nothing to decide.
OVERDUE: Final = f"""
select batch_id from (
    select batch_id, confirm_by from associations
    where {_PENDING} and confirm_by <= now() - make_interval(secs => $2)
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
where {_PENDING} and ($1::uuid is null or batch_id > $1)
group by batch_id
having (select class_id from batches where batches.id = batch_id) is not null
order by batch_id limit $2
"""

_ESSAY_STUDENT: Final = """
select associations.essay_id, students.id as student_id, students.first_name,
    students.last_name, students.legal_full_name
from associations join students on students.id = associations.student_id
"""

STUDENT_NAMES: Final = f"""
{_ESSAY_STUDENT}
where associations.batch_id = $1 order by associations.created_at, associations.essay_id
"""

ESSAY_STUDENT: Final = f"{_ESSAY_STUDENT} where associations.essay_id = $1"

CLASS_INFO: Final = """
select batches.id as batch_id, classes.id, classes.owner_id, classes.name, classes.course_code
from batches join classes on classes.id = batches.class_id
where batches.id = any($1::uuid[])
"""

# --- the story of a batch, for a person ---------------------------------------------------------

NAMED_BATCH: Final = """
select id as batch_id from batches where id = $1
union select batch_id from parked where batch_id = $1
union select batch_id from associations where essay_id = $1
"""

#: Batches of a correlation id, and essays stored or changed under it. No index has either.
BATCHES_OF_CORRELATION: Final = """
select batch_id, array_remove(array_agg(essay_id order by essay_id), null) as essays from (
    select id as batch_id, null::uuid as essay_id from batches where correlation_id = $1
    union
    select batch_id, essay_id from changes join associations on essay_id = entity_id
    where entity = 'association' and changes.correlation_id = $1
) as found
group by batch_id order by batch_id
"""

STORIES_OF_CLASS: Final = """
select id as batch_id, created_at, closed_at from batches where class_id = $1
order by created_at desc, id desc limit $2
"""

STORED_BATCH: Final = f"""
select batches.correlation_id, {_CLASS_OF_BATCH} as class_id,
    batches.class_id is null as is_orphaned,
    coalesce(classes.owner_id, deleted.owner_id) as owner_id, batches.created_at,
    batches.closed_at, deleted.deleted_at as class_deleted_at,
    deleted.deleted_by as class_deleted_by
from batches
left join classes on classes.id = batches.class_id
left join deleted_classes as deleted
    on deleted.id = batches.deleted_class_id and batches.class_id is null
where batches.id = $1
"""

ESSAYS_OF_BATCH: Final = """
select essay_id, created_at, confirm_by, suggested_student_id is not null as is_suggested,
    suggested_student_id is null and coalesce(jsonb_array_length(suggestions), 0) > 0
        as was_suggested
from associations where batch_id = $1 order by created_at, essay_id
"""

#: Every decision on the essays of a batch, of each the one that stands last.
DECISIONS_OF_BATCH: Final = """
select essay_id, status, method, student_id, validated_by, validated_at from (
    select essay_id, former.number, former.status, former.method, former.student_id,
        former.validated_by, former.validated_at
    from associations join association_history as former using (essay_id) where batch_id = $1
    union all
    select essay_id, null, status, method, student_id, validated_by, validated_at
    from associations where batch_id = $1 and method is not null
) as decisions
order by essay_id, number nulls last
"""

PARKED_OF_BATCH: Final = """
select event_id, topic, partition, "offset", timestamp_ms, attempts, next_try_at, deadline
from parked where batch_id = $1 order by id
"""

_UNSENT: Final = """
select id, topic, key, headers, created_at, {set_aside_at} as set_aside_at, {reason} as reason,
    case when topic = $4::text then value end as value
from {table}
where shard = any($1::smallint[]) and (key = $2::bytea or (key = $3::bytea and topic = $4)) {also}
"""

#: Taking packs apart is slow: only those in which one of the keys is.
_WITH_KEY: Final = """
and pack = any(array(
    select id from outbox_packs where shard = any($1)
        and (position($2 in content) > 0 or position($3 in content) > 0)
))
"""

#: What waits with one of these keys, of the shards that they are in. Only what has a teacher's key
#: ($3, on the topic $4) has to be read to know what it is about.
UNSENT_OF_BATCH: Final = (
    _UNSENT.format(
        table="outbox", set_aside_at="null::timestamptz", reason="null::text", also=_WITH_KEY
    )
    + "union all"
    + _UNSENT.format(
        table="outbox_set_aside", set_aside_at="set_aside_at", reason="reason", also=""
    )
    + "order by id"
)

# --- maintenance ------------------------------------------------------------------------------

CLOCK: Final = "select clock_timestamp()"

#: Reads only. The start of the server tells one server from another that took its place.
WRITE_CHECK: Final = """
select pg_postmaster_start_time() as server,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only,
    array(
        select concat_ws(' ', privilege, 'on', of_table)
        from unnest($1::text[], $2::text[]) as needed (of_table, privilege)
        where not has_table_privilege(of_table, privilege)
    ) as missing
"""

#: The weeks of the changes and of the feed that have a partition, and whether this account may make
#: more.
CHANGES_PARTITIONS: Final = r"""
select now() as now,
    array(
        select relname::text from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent in ('changes'::regclass, 'feed'::regclass)
            and relname ~ '^(changes|feed)_\d{8}$'
    ) as names,
    (
        select bool_and(pg_has_role(relowner, 'usage')
            and has_schema_privilege(relnamespace, 'create'))
        from pg_class where oid in ('changes'::regclass, 'feed'::regclass)
    ) as allowed
"""

#: One process at a time, and none while changes are numbered: that reads all weeks. Who waits for a
#: lock on a table keeps everybody else waiting, so not long.
LOCK_PARTITIONS: Final = f"""
select pg_try_advisory_xact_lock({AdvisoryLock.PARTITIONS})
    and pg_try_advisory_xact_lock({AdvisoryLock.FEED})
    and set_config('lock_timeout', '500ms', true) is not null
"""

#: Attached, not created as a partition: that would wait for everybody who writes or reads changes.
MAKE_PARTITION: Final = """
create table {name}
    (like {table} including defaults including constraints including indexes);
alter table {table} attach partition {name} for values from ('{begin}') to ('{end}')
"""

DROP_PARTITION: Final = "drop table {name}"

#: What came in a week without a partition.
PURGE_CHANGES: Final = """
delete from changes_default where at < now() - make_interval(days => $1)
"""

#: The same throughout a transaction, and never later than its decisions.
TRANSACTION_CLOCK: Final = "select now()"

BACKLOG: Final = f"""
select
    coalesce(sum(messages), 0)::bigint as outbox_depth,
    coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as outbox_age,
    (select count(*) from associations where {_PENDING}) as pending,
    (select count(*) from parked) as parked
from outbox_packs
"""

# --- what operators look at every few seconds -----------------------------------------------------

#: At most $1 parked messages are counted.
OVERVIEW: Final = """
select now() as now, parked.*,
    (select count(*) from batches where closed_at is null) as open_batches
from (
    select count(*) as parked, min(deadline) as parked_deadline
    from (select deadline from parked order by id limit $1) as first_rows
) as parked
"""

#: The messages of the first $1 packs of each shard.
OUTBOX_BY_SHARD: Final = f"""
select shard, counted.* from generate_series(0, {shards.SHARDS - 1}) as one (shard)
cross join lateral (
    select sum(messages)::bigint as waiting, min(created_at) as since, count(*) = $1 as is_more
    from (
        select messages, created_at from outbox_packs where outbox_packs.shard = one.shard::smallint
        order by id limit $1
    ) as first_packs
) as counted
where waiting > 0 order by shard
"""

#: The index has them in this order: nothing is sorted but the hours. What has
#: been due for $1 has none.
DUE_BY_HOUR: Final = f"""
select case when confirm_by > now() - $1::interval
        then date_trunc('hour', greatest(confirm_by, now()), 'UTC') end as hour,
    count(distinct batch_id) as batches, sum(essays)::bigint as essays
from (
    select confirm_by, batch_id, count(*) as essays from associations where {_PENDING}
    group by confirm_by, batch_id
) as due
group by hour order by hour nulls first
"""

# --- the workers that run now -------------------------------------------------------------------

_WORKER: Final = "worker, url, partitions, version, role, started_at"

#: Rows are locked before their deletion: two workers that delete the same rows do not wait.
ANNOUNCE: Final = f"""
with forgotten as (
    delete from workers where worker in (
        select worker from workers
        where worker <> $1 and seen_at < now() - make_interval(secs => $7)
        for update skip locked)
), announced as (
    insert into workers ({_WORKER}) values ($1, $2, $3, $4, $5, $6)
    on conflict (worker) do update set url = excluded.url, partitions = excluded.partitions,
        version = excluded.version, role = excluded.role, started_at = excluded.started_at,
        seen_at = now()
)
select {_WORKER} from workers
where worker <> $1 and seen_at >= now() - make_interval(secs => $7)
order by worker collate "C"
"""

KNOWN_WORKERS: Final = f"""
select {_WORKER} from workers
where seen_at >= now() - make_interval(secs => $1)
order by worker collate "C"
"""

WITHDRAW: Final = "delete from workers where worker = $1 and started_at = $2"
