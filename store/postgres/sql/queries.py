"""What other services ask for."""

from typing import Final

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
