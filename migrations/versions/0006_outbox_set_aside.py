"""Messages that the broker refuses for good, and those that wait behind them."""

from alembic import op

revision = "0006"
down_revision = "0005"

_UP = (
    # Apart from the outbox, so that what waits for a person costs the relay nothing. `id` is that
    # of the outbox: a message that goes back takes its old place.
    """
    create table outbox_set_aside (
        shard smallint not null check (shard between 0 and 15),
        id bigint not null,
        topic text not null,
        key bytea,
        value bytea,
        headers bytea not null,
        created_at timestamptz not null,
        -- why the broker refuses it; null: it waits behind one of its topic and key
        reason text,
        set_aside_at timestamptz not null default now(),
        primary key (shard, id)
    )
    """,
    # A digest, since a key of any length may have come from outside.
    "create index outbox_set_aside_key on outbox_set_aside (shard, topic, sha256(key))",
)

_DOWN = (
    """
    insert into outbox (shard, id, topic, key, value, headers, created_at) overriding system value
    select shard, id, topic, key, value, headers, created_at from outbox_set_aside
    """,
    "drop table outbox_set_aside",
)


def upgrade() -> None:
    """Create the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Put everything back into the outbox, and drop the table."""
    for statement in _DOWN:
        op.execute(statement)
