"""The index of what 0012 brought.

A transaction of its own, as in 0008. What was there before is not in it, so it is small: the table
is read once, and changes wait meanwhile.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Build it."""
    op.execute("create index changes_xact on changes (xact) where xact is not null")


def downgrade() -> None:
    """Drop what came."""
    op.execute("drop index changes_xact")
