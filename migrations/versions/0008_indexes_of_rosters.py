"""The indexes of what 0007 brought.

A transaction of its own, which changes nothing else: building an index lets others read, and an
`alter table` beside it would keep them out until all are built.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_UP = (
    """
    create unique index students_owner_email_key on students (owner_id, email_key)
        where email_key is not null
    """,
    """
    create index students_unkeyed on students (id)
        where (email is distinct from keyed_email)::integer = 1
    """,
    """
    create index students_colliding on students (id)
        where email_key is null and keyed_email = email
    """,
    """
    create unique index students_placeholder on students (owner_id, lower(email))
        where is_placeholder
    """,
    # What is left to settle: store.postgres.sql has the same condition, and says what it means.
    r"""
    create index students_out_of_place on students (id) where
        case
            when is_placeholder then first_name <> 'UNKNOWN' or last_name <> 'STUDENT'
                or legal_full_name <> 'UNKNOWN STUDENT'
                or email is null or email !~ '^unknown\.[0-9a-f-]{36}@huleedu\.system$'
            when octet_length(email) = char_length(email)
                then lower(email) like '%huleedu.system'
            else regexp_replace(
                translate(lower(normalize(email, nfkc)), U&'\3002', '.'), '[^ -~]', '', 'g'
            ) like '%huleedu.system'
        end
    """,
    "create index batches_open on batches (class_id, id) where closed_at is null",
    # The latest of a class, however many there are. It has all that is read of them: otherwise the
    # planner, who thinks of the average class, would read and sort all of a class.
    """
    create index batches_closed on batches (class_id, closed_at desc, id desc)
        include (created_at) where closed_at is not null
    """,
)

_DOWN = (
    "drop index batches_open, batches_closed",
    "drop index students_owner_email_key, students_unkeyed, students_colliding",
    "drop index students_placeholder, students_out_of_place",
)


def upgrade() -> None:
    """Build them."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop what came."""
    for statement in _DOWN:
        op.execute(statement)
