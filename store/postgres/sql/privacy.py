"""What only an export and an erasing of personal data send.

They may read whole tables: nobody waits for them, and few indexes are by person. What changes rows
takes a portion of them, and is repeated until there are none; so a killed erasing goes on.
"""

from collections.abc import Mapping
from typing import Final

from rules import topics
from rules.imports.plans import ImportState
from rules.models import Status
from rules.personal.subjects import Kind
from store.postgres.advisory import AdvisoryLock

#: One run at a time for each subject; ends with the transaction of a connection of its own.
LOCK_SUBJECT: Final = f"""
select pg_try_advisory_xact_lock({AdvisoryLock.ERASURES}, hashtext($1))
"""

# --- erasures -----------------------------------------------------------------------------------

_ERASURE: Final = """
id, subject, subject_id, pseudonym, owner_id, names, essays, counts, started_at, finished_at
"""

OPEN_ERASURE: Final = f"""
select {_ERASURE} from erasures where subject = $1 and subject_id = $2 and finished_at is null
"""

ERASURE: Final = f"select {_ERASURE} from erasures where id = $1"

BEGIN: Final = """
insert into erasures (id, subject, subject_id, pseudonym, owner_id, names, essays)
values ($1, $2, $3, $4, $5, $6, $7)
"""

COUNT: Final = """
update erasures set
    counts = counts || jsonb_build_object($2::text, coalesce((counts ->> $2)::bigint, 0) + $3)
where id = $1
"""

KNOW_ESSAYS: Final = """
update erasures set essays = array(
    select essay_id from unnest(essays || $2::uuid[]) as essay_id group by essay_id
)
where id = $1
"""

#: From now on it says what was erased, and of a user not whom. Of a student the id stays: it is
#: what other services know it by, and nothing leads from it to a person any more.
FINISH: Final = f"""
update erasures set finished_at = now(), owner_id = null, names = null, essays = null,
    subject_id = case when subject = '{Kind.USER}' then pseudonym else subject_id end
where id = $1
"""

# --- a student ----------------------------------------------------------------------------------

#: Who was merged into the student $1: deleted by the transaction that changed it. What undoes an
#: import deletes others, too.
_MERGED: Final = """
select gone.entity_id from changes as kept join changes as gone using (correlation_id, at)
where kept.entity_id = $1 and kept.entity = 'student' and kept.kind = 'updated'
    and gone.entity = 'student' and gone.kind = 'deleted'
    and not exists (
        select from imports where imports.correlation_id = gone.correlation_id
    )
"""

#: What a student is and was called, also one that is deleted, and who was merged into it: what it
#: is comes first.
NAMES_OF_STUDENT: Final = f"""
select 0 as age, owner_id, is_placeholder, first_name, last_name, legal_full_name as full_name,
    email, external_id
from students where id = $1
union all
select row_number() over (order by changes.id desc), owner_id, false, told ->> 'first_name',
    told ->> 'last_name', told ->> 'full_name', told ->> 'email', told ->> 'external_id'
from changes cross join unnest(array[after, before]) as told
where entity = 'student' and (entity_id = $1 or entity_id in ({_MERGED}))
order by age
"""

#: Where the student is gone: what was decided for it, as far as it is remembered.
ESSAYS_REMEMBERED: Final = """
select distinct entity_id as essay_id from changes
where entity = 'association' and owner_id = $2 and $1::text in (
    before ->> 'student_id', after ->> 'student_id', before ->> 'suggested_student_id'
)
"""

BATCH_DECIDED_FOR: Final = """
select batch_id from associations where student_id = $1 order by batch_id limit 1
"""

COUNT_DECIDED: Final = """
select count(distinct batch_id)::integer from associations where student_id = $1
"""

#: Nobody decides anything in them until the transaction ends.
LOCK_CLASSES_OF_STUDENT: Final = """
select id from classes where id in (select class_id from enrollments where student_id = $1)
order by id for update
"""

DECIDED_IN_BATCH: Final = """
select essay_id from associations where batch_id = $1 and student_id = $2
order by created_at, essay_id
"""

UNKNOWN_OF_DELETED_CLASS: Final = """
select id from students where owner_id = $1 and is_placeholder and lower(email) = $2
"""

#: Batches before students, as everywhere.
LOCK_BATCHES_REFERRING: Final = """
select id from batches where id in (
    select batch_id from associations where suggested_student_id = $1
    union select batch_id from associations where student_id = $1
)
order by id for update
"""

ESSAYS_OF_STUDENT: Final = """
select essay_id from associations where suggested_student_id = $1
union select essay_id from associations where student_id = $1
union select essay_id from association_history where student_id = $1
"""

_HAS_SUGGESTION: Final = (
    "suggestions @> jsonb_build_array(jsonb_build_object('student_id', {student}))"
)

#: The other suggestions without the reasons: these quote what stands on the essay, her name.
_OTHER_SUGGESTIONS: Final = """
case when suggestions is null then null else coalesce((
    select jsonb_agg(one || '{{"match_reasons": []}}' order by place)
    from jsonb_array_elements(suggestions) with ordinality as s (one, place)
    where one ->> 'student_id' is distinct from {student}
), '[]') end
"""

SCRUB_ESSAYS: Final = f"""
update associations set filename = null, match_reasons = '{{}}',
    suggestions = {_OTHER_SUGGESTIONS.format(student="$2::text")}
where essay_id = any($1::uuid[])
    and (filename is not null or match_reasons <> '{{}}'
        or {_HAS_SUGGESTION.format(student="$2::text")} or suggestions @? '$[*].match_reasons[*]')
"""

#: Essays of others for which the student is among the suggestions, $3 at most; files by its name,
#: $2, go, too.
SCRUB_SUGGESTIONS: Final = f"""
update associations set suggestions = {_OTHER_SUGGESTIONS.format(student="$1::text")},
    filename = case when normalize(filename) ~* any($2::text[]) then null else filename end
where essay_id in (
    select essay_id from associations where {_HAS_SUGGESTION.format(student="$1::text")} limit $3
)
"""

#: Essays of the owner, $2, whose files have the student's names, $1.
SCRUB_FILENAMES: Final = """
update associations set filename = null
where essay_id in (
    select essay_id from associations
    join batches on batches.id = batch_id
    left join classes on classes.id = class_id
    left join deleted_classes on deleted_classes.id = deleted_class_id
    where normalize(filename) ~* any($1::text[])
        and coalesce(classes.owner_id, deleted_classes.owner_id) = $2
    limit $3
)
"""

_IS_NAMED: Final = """
concat({0} ->> 'first_name', {0} ->> 'last_name', {0} ->> 'full_name', {0} ->> 'email',
    {0} ->> 'external_id') <> ''
"""
_HAS_NAME: Final = "{0} ->> 'full_name' = any($3::text[]) or {0} ->> 'email' = any($3::text[])"

_WITHOUT_NAMES: Final = """
case when {0} is null then null else (
    select json_object_agg(key, case
        when key in ('first_name', 'last_name', 'full_name') then '""'::json
        when key in ('email', 'external_id') then 'null'::json
        else value end)
    from json_each({0})
) end
"""

#: $4 at most. The student may have been merged of several of its owner, $2: those with one of its
#: names, $3, that are gone.
SCRUB_CHANGES: Final = f"""
update changes set before = {_WITHOUT_NAMES.format("before")},
    after = {_WITHOUT_NAMES.format("after")}
where (tableoid, ctid) in (
    select tableoid, ctid from changes
    where entity = 'student'
        and (entity_id = $1 or owner_id = $2
            and ({_HAS_NAME.format("before")} or {_HAS_NAME.format("after")})
            and not exists (select from students where students.id = entity_id))
        and ({_IS_NAMED.format("before")} or {_IS_NAMED.format("after")})
    limit $4
)
"""

# --- imports ------------------------------------------------------------------------------------

#: Rows of the owner's imports, behind ($2, $3), that are the student's, $4, or have one of its
#: names, $5, in a text; and whether they are about nobody who is there. Whom an import makes that
#: is just applied is somebody in a moment.
IMPORT_ROWS: Final = f"""
select import_id, number, student_id, before, after, errors, notices,
    state != '{ImportState.APPLYING}'
        and not exists (select from students where students.id = student_id) as is_nobodys
from import_rows join imports on imports.id = import_id
where owner_id = $1 and (import_id, number) > ($2::uuid, $3::integer)
    and (student_id = $4 or exists (
        select from unnest($5::text[]) as part
        where position(lower(part) in lower(concat(before, after, errors, notices))) > 0
    ))
order by import_id, number limit $6
for update of import_rows
"""

REWRITE_IMPORT_ROWS: Final = """
update import_rows as planned set before = new.before, after = new.after, errors = new.errors,
    notices = new.notices
from unnest($1::uuid[], $2::integer[], $3::json[], $4::json[], $5::json[], $6::json[])
    as new (import_id, number, before, after, errors, notices)
where planned.import_id = new.import_id and planned.number = new.number
"""

#: A plan that would make her again, or rests on what is gone, is one no more.
END_PLANS: Final = f"""
update imports set expires_at = now()
where id = any($1::uuid[]) and state = '{ImportState.PLANNED}' and expires_at > now()
"""

SCRUB_IMPORTS: Final = """
update imports set filename = null
where id in (
    select id from imports where normalize(filename) ~* any($1::text[]) and owner_id = $2 limit $3
)
"""

# --- messages that the service still has ----------------------------------------------------------

#: Whether a relay is at work in a shard; while the transaction lasts, none begins.
TRY_SHARD: Final = f"select pg_try_advisory_xact_lock({AdvisoryLock.SHARDS}, $1::integer)"

#: A page of a shard's packs, behind $2; the contents that have one of $3 in them.
PACKS: Final = """
select id, case when exists (
    select from unnest($3::bytea[]) as part where position(part in content) > 0
) then content end as content
from (
    select id, content from outbox_packs where shard = $1::smallint and id > $2
    order by id limit $4
) as page
order by id
"""

REWRITE_PACKS: Final = """
update outbox_packs as pack set content = new.content
from unnest($2::bigint[], $3::bytea[]) as new (id, content)
where pack.shard = $1::smallint and pack.id = new.id
"""

#: A page of a shard's messages that are set aside, behind $2; the values that have one of $3 in
#: them, or are of the topics $4.
SET_ASIDE: Final = """
select id, topic, key, case when topic = any($4::text[]) or exists (
    select from unnest($3::bytea[]) as part where position(part in value) > 0
) then value end as value
from (
    select id, topic, key, value from outbox_set_aside
    where shard = $1::smallint and id > $2 order by id limit $5
) as page
order by id
"""

REWRITE_SET_ASIDE: Final = """
update outbox_set_aside as message set value = new.value, key = new.key
from unnest($2::bigint[], $3::bytea[], $4::bytea[]) as new (id, key, value)
where message.shard = $1::smallint and message.id = new.id
"""

#: Messages with a user's id: as a key, or among the JSON of the value. Packs are taken apart only
#: where it is in them.
WAITING: Final = """
select count(*) from outbox
where (shard, pack) in (
    select shard, id from outbox_packs
    where position($1::bytea in content) > 0 or position($2::bytea in content) > 0
) and (key = $1 or position($2 in value) > 0)
"""

PARKED: Final = "select id, key, value from parked where id > $1 order by id limit $2 for update"

REWRITE_PARKED: Final = """
update parked set value = new.value, key = new.key
from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as new (id, key, value)
where parked.id = new.id
"""

ANSWERS: Final = """
select key, body, at from idempotency_keys
where owner_id = $1 and key > $2 order by key limit $3 for update
"""

REWRITE_ANSWERS: Final = """
update idempotency_keys set body = new.body
from unnest($2::text[], $3::bytea[]) as new (key, body)
where owner_id = $1 and idempotency_keys.key = new.key
"""

#: The oldest transaction that is still under way: what began before an erasing may still write.
OLDEST: Final = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
NEWEST: Final = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

# --- a user ---------------------------------------------------------------------------------------

NEXT_STUDENT: Final = """
select id from students where owner_id = $1 and not is_placeholder order by id limit 1
"""

NEXT_CLASS: Final = "select id from classes where owner_id = $1 order by id limit 1"

#: Open batches of the user's deleted classes.
OPEN_BATCHES: Final = """
select batches.id from batches join deleted_classes on deleted_classes.id = deleted_class_id
where closed_at is null and class_id is null and owner_id = $1 limit $2
"""

#: Whose batches they are is known by their class, or by who decided an essay, or is suggested.
_BATCHES_OF_USER: Final = """
select id from batches where class_id in (select id from classes where owner_id = $1)
union
select id from batches
where deleted_class_id in (select id from deleted_classes where owner_id = $1)
union
select batch_id from associations where validated_by = $1
union
select batch_id from associations join students on students.id = associations.student_id
where students.owner_id = $1
union
select batch_id from associations join students
    on students.id = associations.suggested_student_id
where students.owner_id = $1
"""

SCRUB_ESSAYS_OF_USER: Final = f"""
update associations set filename = null, match_reasons = '{{}}', suggestions = '[]'
where essay_id in (
    select essay_id from associations where batch_id in ({_BATCHES_OF_USER})
        and (filename is not null or match_reasons <> '{{}}' or suggestions <> '[]')
    limit $2
)
"""

DELETE_IMPORT_ROWS: Final = """
delete from import_rows where ctid in (
    select import_rows.ctid from import_rows join imports on imports.id = import_id
    where owner_id = $1 limit $2
)
"""

#: First, so that no worker goes on with it; the rows are gone as a rule.
END_IMPORTS: Final = f"""
update imports set state = '{ImportState.FAILED}', next_at = null, ended_at = now()
where id in (
    select id from imports
    where owner_id = $1 and state in ('{ImportState.PLANNED}', '{ImportState.APPLYING}') limit $2
)
"""

DELETE_IMPORTS: Final = """
delete from imports where id in (select id from imports where owner_id = $1 limit $2)
"""

RENAME_FEED: Final = """
update feed set owner_id = $2
where (tableoid, ctid) in (select tableoid, ctid from feed where owner_id = $1 limit $3)
"""

DELETE_ANSWERS: Final = """
delete from idempotency_keys where ctid in (
    select ctid from idempotency_keys where owner_id = $1 limit $2
)
"""

CLASSES_OF_USER: Final = """
select id from classes where owner_id = $1 union select id from deleted_classes where owner_id = $1
"""

#: A pseudonym, $2, in the place of the user, $1.
RENAME_DECIDERS: Final = """
update associations set validated_by = $2
where essay_id in (select essay_id from associations where validated_by = $1 limit $3)
"""

RENAME_FORMER_DECIDERS: Final = """
update association_history set validated_by = $2
where ctid in (select ctid from association_history where validated_by = $1 limit $3)
"""

RENAME_DELETED_CLASSES: Final = """
update deleted_classes set
    owner_id = case when owner_id = $1 then $2 else owner_id end,
    deleted_by = case when deleted_by = $1 then $2 else deleted_by end
where id in (select id from deleted_classes where $1 in (owner_id, deleted_by) limit $3)
"""

#: UNKNOWN students of classes that are deleted: essays are still theirs.
RENAME_PLACEHOLDERS: Final = """
update students set owner_id = $2
where id in (
    select id from students where owner_id = $1 and is_placeholder and not exists (
        select from enrollments where student_id = students.id
    ) limit $3
)
"""

_ANONYMOUS: Final = """
case when {0} is null then null else (
    select json_object_agg(key, case
        when key in ('first_name', 'last_name', 'full_name', 'name') then '""'::json
        when key in ('email', 'external_id') then 'null'::json
        when value #>> '{{}}' = $1 then to_json($2::text)
        else value end)
    from json_each({0})
) end
"""

RENAME_CHANGES: Final = f"""
update changes set owner_id = case when owner_id = $1 then $2 else owner_id end,
    by_user = case when by_user = $1 then $2 else by_user end,
    before = {_ANONYMOUS.format("before")}, after = {_ANONYMOUS.format("after")}
where (tableoid, ctid) in (
    select tableoid, ctid from changes where owner_id = $1 or by_user = $1 limit $3
)
"""

#: Of its students, if one was left half done.
FINISH_STUDENTS: Final = """
update erasures set finished_at = now(), owner_id = null, names = null, essays = null
where id in (select id from erasures where owner_id = $1 limit $2)
"""

# --- exports ------------------------------------------------------------------------------------

_OWNED: Final = "select to_jsonb(t) as row from {0} as t where owner_id = $1"
_BATCHES: Final = f"batch_id in ({_BATCHES_OF_USER})"
_RAW: Final = """
select to_jsonb(t) - 'key' - 'value' - 'headers' - 'pack' as row, value as raw, key as raw_key
from {0} as t
"""

#: Packs are taken apart only where something is in them.
_IN_PACKS: Final = "(shard, pack) in (select shard, id from outbox_packs where {0})"
_PACKS_OF_USER: Final = _IN_PACKS.format(
    "position($2 in content) > 0 or position($3 in content) > 0"
)

#: $1 is the text, $2 its bytes, $3 these in JSON.
_HAS_USER: Final = "$1::text is not null and (key = $2 or position($3 in value) > 0)"

#: By table, the rows of the user $1; `raw` is what is no JSON in the row.
OF_USER: Final[Mapping[str, str]] = {
    "classes": _OWNED.format("classes"),
    "students": _OWNED.format("students"),
    "enrollments": _OWNED.format("enrollments"),
    "associations": f"select to_jsonb(t) as row from associations as t where {_BATCHES}",
    "association_history": f"""
        select to_jsonb(t) as row from association_history as t where validated_by = $1
            or essay_id in (select essay_id from associations where {_BATCHES})
    """,
    "deleted_classes": """
        select to_jsonb(t) as row from deleted_classes as t where $1 in (owner_id, deleted_by)
    """,
    "changes": "select to_jsonb(t) as row from changes as t where owner_id = $1 or by_user = $1",
    "idempotency_keys": """
        select to_jsonb(t) - 'body' - 'digest' as row, body as raw
        from idempotency_keys as t where owner_id = $1
    """,
    "outbox_packs": f"{_RAW.format('outbox')} where {_HAS_USER} and {_PACKS_OF_USER}",
    "outbox_set_aside": f"{_RAW.format('outbox_set_aside')} where {_HAS_USER}",
    "parked": f"""
        {_RAW.format("parked")} where key = $2 or exists (
            select from ({CLASSES_OF_USER}) as c
            where position(convert_to(c.id::text, 'UTF8') in value) > 0
        )
    """,
    "feed": _OWNED.format("feed"),
    "imports": _OWNED.format("imports"),
    "import_rows": """
        select to_jsonb(t) as row from import_rows as t
        where import_id in (select id from imports where owner_id = $1)
    """,
    "import_marks": """
        select to_jsonb(t) as row from import_marks as t
        where student_id in (select id from students where owner_id = $1)
    """,
    "import_class_marks": """
        select to_jsonb(t) as row from import_class_marks as t
        where class_id in (select id from classes where owner_id = $1)
    """,
    "erasures": "select to_jsonb(t) as row from erasures as t where $1 in (subject_id, owner_id)",
}

_OF_ESSAYS: Final = f"""
$1::uuid in (suggested_student_id, student_id) or {_HAS_SUGGESTION.format(student="$1::text")}
    or essay_id in (select essay_id from association_history where student_id = $1::uuid)
"""
_MENTIONS: Final = "position(convert_to($1::text, 'UTF8') in {0}) > 0"

#: The same of the student $1, of all owners: an id is one student's.
OF_STUDENT: Final[Mapping[str, str]] = {
    "students": "select to_jsonb(t) as row from students as t where id = $1::uuid",
    "enrollments": "select to_jsonb(t) as row from enrollments as t where student_id = $1::uuid",
    "associations": f"""
        select to_jsonb(t) || jsonb_build_object('suggestions', (
            select jsonb_agg(one) from jsonb_array_elements(suggestions) as one
            where one ->> 'student_id' = $1::text
        )) as row from associations as t where {_OF_ESSAYS}
    """,
    "association_history": """
        select to_jsonb(t) as row from association_history as t where student_id = $1::uuid
    """,
    "changes": """
        select to_jsonb(t) as row from changes as t
        where entity in ('student', 'enrollment') and entity_id = $1::uuid
            or entity = 'association' and $1::text in (before ->> 'student_id',
                after ->> 'student_id', before ->> 'suggested_student_id')
    """,
    "idempotency_keys": f"""
        select jsonb_build_object('owner_id', owner_id, 'at', at) as row, body as raw
        from idempotency_keys where {_MENTIONS.format("body")}
    """,
    "outbox_packs": f"""
        {_RAW.format("outbox")} where {_MENTIONS.format("value")}
            and {_IN_PACKS.format(_MENTIONS.format("content"))}
    """,
    "outbox_set_aside": f"{_RAW.format('outbox_set_aside')} where {_MENTIONS.format('value')}",
    "parked": f"{_RAW.format('parked')} where {_MENTIONS.format('value')}",
    "imports": """
        select jsonb_build_object('id', id, 'filename', filename, 'created_at', created_at) as row
        from imports where id in (select import_id from import_rows where student_id = $1::uuid)
    """,
    "import_rows": """
        select to_jsonb(t) as row from import_rows as t where student_id = $1::uuid
    """,
    "import_marks": """
        select to_jsonb(t) as row from import_marks as t where student_id = $1::uuid
    """,
    "erasures": """
        select to_jsonb(t) as row from erasures as t
        where subject_id = $1::text and finished_at is null
    """,
}


def counted(statement: str) -> str:
    """Return what counts the rows of an export."""
    return f"select count(*) from ({statement}) as rows"


#: Values are looked at one by one where no id says whose the names are.
BY_ESSAY: Final = (topics.TIMEOUT_PROCESSED,)

#: What an essay decided for UNKNOWN is.
CONFIRMED: Final = Status.CONFIRMED.value
