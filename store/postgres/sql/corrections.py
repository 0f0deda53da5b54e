"""What is decided, and changed once more."""

from typing import Final

from rules.models import Method

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
