"""The order in which changes are told."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Expand."""


def downgrade() -> None:
    """Drop what came."""
