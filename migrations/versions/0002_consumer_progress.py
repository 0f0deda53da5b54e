"""How far each consumer group has come, kept with what it has stored."""

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
    # A few rows that change with every batch: room beside each for its next version, and no index
    # on what changes, so that a page cleans itself.
    "alter table consumer_progress set (fillfactor = 20)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it; Kafka's own offsets are what is left."""
    op.execute("drop table consumer_progress")
