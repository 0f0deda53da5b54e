"""The JSON of a class and of a roster, as PostgreSQL builds it."""

from typing import Final

from store.postgres.sql import fragments


def _json_id(column: str) -> str:
    return f"""'"', {column}, '"'"""


def _json_instant(column: str) -> str:
    """Return an instant as orjson writes it: in UTC, with microseconds unless they are 0."""
    text = f"""to_char({column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"""'"', replace({text}, '.000000Z', 'Z'), '"'"""


#: All at once, not one by one: the ids of who came together lie together in the index.
_OF_CLASS: Final = """
from students where students.id = any(array(
    select student_id from enrollments where enrollments.class_id = classes.id
))
"""

_BY_NAME: Final = "order by students.last_name, students.first_name, students.id"

_EMAIL_JSON: Final = "coalesce(to_json(students.email)::text, 'null')"

#: The same as rules.documents.student_json.
_STUDENT_JSON: Final = fragments.json_object(
    {
        "id": _json_id("students.id"),
        "person_name": fragments.json_object(
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
        "class_ids": f"array_to_json({fragments.CLASS_IDS})",
        "is_placeholder": "students.is_placeholder::text",
        "created_at": _json_instant("students.created_at"),
        "updated_at": _json_instant("students.updated_at"),
    }
)

#: The same as rules.documents.class_detail_json.
_CLASS_JSON: Final = fragments.json_object(
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
_ROSTER_JSON: Final = fragments.json_object(
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
