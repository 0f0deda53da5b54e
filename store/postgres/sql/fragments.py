"""Parts of statements that several of them have."""

from collections.abc import Mapping
from typing import Final

from rules import emails, history, shards
from rules.models import Status

#: Text, not a parameter: the planner needs it to use the partial indexes.
PENDING: Final = f"status = '{Status.PENDING}'"

#: One of the ids $1. With the array itself, few of them look so much cheaper than what it may hold
#: that a plan is made anew each time: 60 to 120 us.
AMONG: Final = "= any(array(select unnest($1::uuid[])))"

LAST_ID: Final = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"


def json_object(members: Mapping[str, str]) -> str:
    """Return arguments of concat() that build a JSON object from members that are JSON.

    A third faster than PostgreSQL's own functions for objects. concat() skips nulls.
    """
    return "'{" + ", ',".join(f'"{name}":\', {value}' for name, value in members.items()) + ", '}'"


def insert_packs_of(made: str, number: int) -> str:
    """Return SQL that packs the messages of what was made, from three parameters on."""
    arrays = f"${number}::uuid[], ${number + 1}::integer[], ${number + 2}::bytea[]"
    return f"""
    insert into outbox_packs (shard, messages, content)
    select pack % {shards.SHARDS}, count(*), string_agg(content, '' order by position)
    from unnest({arrays}) with ordinality as message (of_id, pack, content, position)
    where of_id in (select id from {made})
    group by pack order by pack
    """


#: Every statement that changes something ends with the correlation ids of what is to be remembered
#: of it, in arrays: empty ones, and nothing is.
INSERT_CHANGES: Final = """
insert into changes (owner_id, entity, entity_id, class_id, kind, version, by_user, correlation_id,
    before, after)
"""


def _column(attribute: str) -> str:
    return attribute.rpartition(".")[2]


def columns(members: Mapping[str, str], prefix: str = "") -> str:
    """Return the columns of remembered members."""
    return ", ".join(f"{prefix}{_column(attribute)}" for attribute in members.values())


def old(members: Mapping[str, str]) -> str:
    """Return what a statement returns of the row `old` for `values` with the prefix `old_`."""
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


def whole(members: Mapping[str, str], prefix: str = "") -> str:
    """Return the same as rules.history.whole; the first member is never null.

    Half as expensive as PostgreSQL's own functions for objects. concat() skips nulls.
    """
    (first, *others) = ((f'"{n}":', _value(_column(a), prefix)) for n, a in members.items())
    pairs = (f"',{name}' || {value}" for name, value in others)
    return f"concat('{{{first[0]}', {first[1]}, {', '.join(pairs)}, '}}')::json"


def values(members: Mapping[str, str], prefix: str = "") -> str:
    """Return the same as rules.history.values."""
    pairs = {n: f"coalesce({_value(_column(a), prefix)}, 'null')" for n, a in members.items()}
    return f"concat({json_object(pairs)})::json"


CLASS_MEMBERS: Final = columns(history.CLASS_MEMBERS)
STUDENT_MEMBERS: Final = columns(history.STUDENT_MEMBERS)


def unknown_address(class_id: str) -> str:
    """Return SQL for what rules.timeouts.unknown_student_email returns."""
    return f"'unknown.' || {class_id} || '@{emails.OWN_DOMAIN}'"


#: The student of an enrolment. `offset 0` forces a join by the index: the planner considers reading
#: a few thousand students from end to end cheaper than finding thirty.
ENROLLED: Final = """
lateral (select * from students where students.id = enrollments.student_id offset 0) as students
"""

CLASS_IDS: Final = """array(
    select class_id from enrollments where enrollments.student_id = students.id order by class_id
)"""

STUDENT_COLUMNS: Final = f"""
students.id, students.owner_id, students.first_name, students.last_name,
students.legal_full_name, students.email, students.external_id, students.version,
students.created_at, students.updated_at, students.is_placeholder,
{CLASS_IDS} as class_ids
"""

#: True of suggestions that name the student $1.
SUGGESTS: Final = "suggestions @> jsonb_build_array(jsonb_build_object('student_id', $1::uuid))"

#: The class of an association's batch, also of a deleted class.
CLASS_OF_BATCH: Final = "coalesce(batches.class_id, batches.deleted_class_id)"

ASSOCIATION_COLUMNS: Final = """
associations.essay_id, associations.batch_id, associations.suggested_student_id,
associations.student_id, associations.confidence, associations.match_reasons,
associations.status, associations.method, associations.validated_by, associations.validated_at,
associations.created_at, associations.confirm_by
"""

#: What is undecided, as rules.history tells it.
UNDECIDED: Final = f"""
    '{{"student_id":null,"validation_status":"{Status.PENDING}","validation_method":null,'
    '"validated_by":null}}'
"""

#: What the events of a closing batch need of an essay.
CLOSING_COLUMNS: Final = """
essay_id, batch_id, suggested_student_id, student_id, confidence, status, method, validated_by,
validated_at, created_at, confirm_by
"""
