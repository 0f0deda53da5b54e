"""The workers that run now, so that each of them can ask the others."""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = (
    """
    create table workers (
        worker text primary key,
        url text not null,
        partitions int[] not null,
        version text not null,
        role text not null,
        started_at timestamptz not null,
        seen_at timestamptz not null default now()
    )
    """,
    # A few rows, rewritten every few seconds: no scan of them is to pass over thousands of dead
    # ones, and each rewrite fits on its own page.
    """
    alter table workers set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 200)
    """,
)


def upgrade() -> None:
    """Make the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it: the workers of the older version do not know it."""
    op.execute("drop table workers")
