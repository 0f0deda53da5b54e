"""Batches of suggestions that come in."""

from typing import Final

from rules import models
from rules.models import Method, Status
from store.postgres.sql import fragments

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
        and lower(students.email)
            is distinct from {fragments.unknown_address("enrollments.class_id")}
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
{fragments.INSERT_CHANGES}
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
