"""Which record brought a command: separates a repeated command from a redelivered record."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; null for a message whose sender gets no result."""
    op.execute("alter table inbox add column delivery uuid")


def downgrade() -> None:
    """Drop it: a repeated command is a duplicate either way."""
    op.execute("alter table inbox drop column delivery")
