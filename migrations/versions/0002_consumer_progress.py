"""The progress of each consumer group, stored together with what it consumed."""

from alembic import op

revision = "0002"
down_revision = "0001"

_UP = (
    """
    create table consumer_progress (
        consumer_group text not null,
        topic text not null,
        partition integer not null,
        next_offset bigint not null check (next_offset >= 0),
        updated_at timestamptz not null default now(),
        primary key (consumer_group, topic, partition)
    )
    """,
    # A few rows that change with every batch: free space for each row's next version, and no index
    # on what changes, so that a page is pruned without vacuum.
    "alter table consumer_progress set (fillfactor = 20)",
)


def upgrade() -> None:
    """Create the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it; Kafka's own offsets remain."""
    op.execute("drop table consumer_progress")
