"""External ids are an owner's only once.

A transaction of its own, as 0008 says. The columns are new: to build the indexes is to read the
tables once.
"""

from alembic import op

revision = "0010b"
down_revision = "0010"

_UP = (
    """
    create unique index classes_owner_external_id on classes (owner_id, external_id)
        where external_id is not null
    """,
    """
    create unique index students_owner_external_id on students (owner_id, external_id)
        where external_id is not null
    """,
)

_DOWN = ("drop index classes_owner_external_id, students_owner_external_id",)


def upgrade() -> None:
    """Build them."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    for statement in _DOWN:
        op.execute(statement)
