"""Answers to requests with an `Idempotency-Key`, kept for 24 hours."""

from alembic import op

revision = "0009"
down_revision = "0008"

_UP = (
    # The body as it was sent, with names and addresses in it: as private as `students`.
    """
    create table idempotency_keys (
        owner_id text not null,
        key text not null,
        digest bytea not null,
        status smallint not null,
        headers jsonb not null,
        body bytea not null,
        at timestamptz not null default now(),
        primary key (owner_id, key)
    )
    """,
    "create index idempotency_keys_at on idempotency_keys (at)",
    # A queue, like the inbox.
    """
    alter table idempotency_keys set (autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.2)
    """,
)


def upgrade() -> None:
    """Create the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it: every key is free again."""
    op.execute("drop table idempotency_keys")
