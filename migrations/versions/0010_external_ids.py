"""What other systems call classes and students."""

from alembic import op

revision = "0010"
down_revision = "0009"

_UP = (
    "alter table classes add column external_id text",
    "alter table students add column external_id text",
    # Not valid: there is nothing to check yet, and looking would lock everybody out.
    """
    alter table classes add constraint classes_external_id
        check (char_length(external_id) between 1 and 255) not valid
    """,
    """
    alter table students add constraint students_external_id
        check (char_length(external_id) between 1 and 255) not valid
    """,
)

_DOWN = (
    "alter table classes drop column external_id",
    "alter table students drop column external_id",
)


def upgrade() -> None:
    """Expand: workers of an older version leave the columns as they are."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop what came."""
    for statement in _DOWN:
        op.execute(statement)
