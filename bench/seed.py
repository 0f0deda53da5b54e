"""The classes and students at the start of every run, with ids that can be computed."""

from typing import Final
from uuid import UUID

from devstack.rig.database import connected

OWNER: Final = "bench"
CLASSES: Final = 200
CLASS_SIZE: Final = 30
STUDENTS: Final = CLASSES * CLASS_SIZE

#: The classes that new students join, in turn, since each takes 2,000. None of them is read.
GROWING_CLASSES: Final = 200
GROWING_CLASS: Final = UUID("aaaaaaaa-0000-4000-8000-000000000000")

_CLASSES_SQL: Final = """
insert into classes (id, owner_id, name, course_code)
select ('bbbbbbbb-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 'Klass ' || n, 'SV1'
from generate_series(0, $3 - 1) as n
union all
select ('aaaaaaaa-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1, 'Växande klass', 'SV1'
from generate_series(0, $2 - 1) as n
"""
_STUDENTS_SQL: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
select ('cccccccc-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1,
    'Đorđe' || n, 'Åkerblom', 'Đorđe' || n || ' Åkerblom', 'elev' || n || '@skola.example'
from generate_series(0, $2 - 1) as n
"""
_ENROLLMENTS_SQL: Final = """
insert into enrollments (class_id, student_id, owner_id)
select ('bbbbbbbb-0000-4000-8000-' || lpad(to_hex(n / $3), 12, '0'))::uuid,
    ('cccccccc-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $1
from generate_series(0, $2 - 1) as n
"""


def class_id(number: int) -> UUID:
    """Return the id of the class with this number, 0 to CLASSES - 1."""
    return UUID(f"bbbbbbbb-0000-4000-8000-{number:012x}")


def growing_class(number: int) -> UUID:
    """Return the id of the class that a new student with this number joins."""
    return UUID(f"aaaaaaaa-0000-4000-8000-{number % GROWING_CLASSES:012x}")


def student_id(number: int) -> UUID:
    """Return the id of the student with this number; CLASS_SIZE of them in a row are a class."""
    return UUID(f"cccccccc-0000-4000-8000-{number:012x}")


async def fill(dsn: str) -> None:
    """Fill an empty, migrated database."""
    async with connected(dsn) as connection:
        await connection.execute(_CLASSES_SQL, OWNER, GROWING_CLASSES, CLASSES)
        await connection.execute(_STUDENTS_SQL, OWNER, STUDENTS)
        await connection.execute(_ENROLLMENTS_SQL, OWNER, STUDENTS, CLASS_SIZE)
        # Only filled tables: the planner would assume that an empty one stays small.
        await connection.execute("analyze classes, students, enrollments")
