"""The running workers, so that each can query the others."""

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
    # A few rows, rewritten every few seconds: no scan should pass over thousands of dead rows, and
    # each new version fits on its row's page.
    """
    alter table workers set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 200)
    """,
)


def upgrade() -> None:
    """Create the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it: the workers of the older version do not know it."""
    op.execute("drop table workers")
