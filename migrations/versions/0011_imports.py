"""Imports: plans, their rows, and how far they are applied."""

revision = "0011"
down_revision = "0010b"


def upgrade() -> None:
    """Expand."""


def downgrade() -> None:
    """Drop what came."""
