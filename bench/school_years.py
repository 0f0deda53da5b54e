"""The data of a service after some years: other teachers' classes, a school year's essays.

PostgreSQL generates all of it. Ids can be computed, like those of `bench.seed`.
"""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from bench.seed import CLASS_SIZE
from devstack.rig.database import connected

#: Classes of a teacher.
TAUGHT: Final = 7
#: Batches stored by one statement.
AT_ONCE: Final = 5_000

_CLASSES: Final = """
insert into classes (id, owner_id, name, course_code)
select ('dddddddd-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'teacher-' || n / $2,
    'Klass ' || n, 'SV1'
from generate_series(0, $1::integer - 1) as n
"""
_STUDENTS: Final = """
insert into students (id, owner_id, first_name, last_name, legal_full_name, email)
select ('eeeeeeee-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'teacher-' || n / $3 / $2,
    'Åsa' || n, 'Öberg', 'Åsa' || n || ' Öberg', 'asa' || n || '@skola.example'
from generate_series(0, $1::integer - 1) as n
"""
_ENROLLMENTS: Final = """
insert into enrollments (class_id, student_id, owner_id)
select ('dddddddd-0000-4000-8000-' || lpad(to_hex(n / $3), 12, '0'))::uuid,
    ('eeeeeeee-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'teacher-' || n / $3 / $2
from generate_series(0, $1::integer - 1) as n
"""
#: The oldest first, over 200 days. One in fifty is pending, its deadlines in 2 to 22 hours; of the
#: others, teachers have decided two in five, the clock three. Ids from other services are random.
_BATCHES: Final = """
insert into batches (id, class_id, correlation_id, created_at, closed_at)
select md5('batch ' || n)::uuid,
    ('dddddddd-0000-4000-8000-' || lpad(to_hex(n % $4), 12, '0'))::uuid,
    md5('correlation ' || n)::uuid,
    case when n % 50 = 0 then now() - interval '22 hours' + interval '20 hours' * n / $3
        else now() - interval '202 days' + interval '200 days' * n / $3 end,
    case when n % 50 <> 0 then now() - interval '201 days' + interval '200 days' * n / $3 end
from generate_series($1::integer, $2::integer - 1) as n
"""
_ASSOCIATIONS: Final = """
insert into associations (essay_id, batch_id, suggested_student_id, student_id, confidence,
    match_reasons, status, method, validated_by, validated_at, created_at, confirm_by)
select md5('essay ' || n || ' ' || essay)::uuid, batches.id, student,
    case when decided then student end, 0.92, '{email_exact}',
    case when not decided then 'pending_validation' when by_human then 'confirmed'
        else 'timeout_confirmed' end,
    case when not decided then null when by_human then 'human' else 'timeout' end,
    case when not decided then null when by_human then 'teacher-' || n % $3 / $5
        else 'SYSTEM_TIMEOUT' end,
    closed_at, created_at, created_at + interval '24 hours'
from generate_series($1::integer, $2::integer - 1) as n
join batches on batches.id = md5('batch ' || n)::uuid
cross join lateral (select closed_at is not null as decided, n % 5 < 2 as by_human) as state
cross join generate_series(0, $4::integer - 1) as essay
cross join lateral (
    select ('eeeeeeee-0000-4000-8000-' || lpad(to_hex(n % $3 * $4 + essay), 12, '0'))::uuid
        as student
) as who
"""
_WITHOUT_CHECKS: Final = "set session_replication_role = replica"


def class_id(number: int) -> UUID:
    """Return the id of a stored class."""
    return UUID(f"dddddddd-0000-4000-8000-{number:012x}")


def student_id(number: int) -> UUID:
    """Return the id of a stored student; CLASS_SIZE of them in a row are a class."""
    return UUID(f"eeeeeeee-0000-4000-8000-{number:012x}")


def owner_of_class(number: int) -> str:
    """Return the owner of the class with this number."""
    return f"teacher-{number // TAUGHT}"


def classes_of(enrolments: int) -> int:
    """Return how many classes have this many enrolments, or a few more."""
    return -(-enrolments // CLASS_SIZE)


async def fill(dsn: str, enrolments: int, associations: int, report: Callable[[str], None]) -> None:
    """Add enrolments and associations to a seeded database; report progress."""
    classes = classes_of(enrolments)
    batches = -(-associations // CLASS_SIZE)
    async with connected(dsn) as connection:
        # Otherwise each row would be looked up in three tables, half of the time.
        await connection.execute(_WITHOUT_CHECKS)
        await connection.execute(_CLASSES, classes, TAUGHT)
        await connection.execute(_STUDENTS, classes * CLASS_SIZE, TAUGHT, CLASS_SIZE)
        await connection.execute(_ENROLLMENTS, classes * CLASS_SIZE, TAUGHT, CLASS_SIZE)
        report(f"{classes * CLASS_SIZE:,} enrolments are stored")
        for first in range(0, batches, AT_ONCE):
            last = min(first + AT_ONCE, batches)
            await connection.execute(_BATCHES, first, last, batches, classes)
            await connection.execute(_ASSOCIATIONS, first, last, classes, CLASS_SIZE, TAUGHT)
            report(f"{last * CLASS_SIZE:,} associations are stored")
        # So that neither autovacuum nor a checkpoint disturbs the measurement.
        filled = "classes, students, enrollments, batches, associations"
        await connection.execute(f"vacuum analyze {filled}")
        await connection.execute("checkpoint")
