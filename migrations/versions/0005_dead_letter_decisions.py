"""What people decided about dead letters, since a Kafka topic cannot be changed."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table; `letter` is the identity of a record, `address` is for people."""
    op.execute(
        """
        create table dead_letter_decisions (
            letter uuid primary key,
            address text not null,
            decision text not null check (decision in ('replayed', 'dropped')),
            decided_at timestamptz not null default now(),
            replay_id uuid unique,
            outcome text,
            reason text,
            outcome_at timestamptz,
            check ((decision = 'replayed') = (replay_id is not null)),
            check ((outcome is null) = (outcome_at is null)),
            check (outcome is null or decision = 'replayed')
        )
        """
    )


def downgrade() -> None:
    """Drop it: every dead letter is open again."""
    op.execute("drop table dead_letter_decisions")
