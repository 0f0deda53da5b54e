"""What other systems call classes and students."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Expand."""


def downgrade() -> None:
    """Drop what came."""
