"""Which students and users were erased, and how far an erasing is."""

from alembic import op

revision = "0014"
down_revision = "0013"

_UP = (
    # What is known of whom is erased only until it is: a killed one goes on with it. Then a user is
    # the pseudonym, and `names` and `essays` are null.
    """
    create table erasures (
        id uuid primary key,
        subject text not null check (subject in ('user', 'student')),
        subject_id text not null,
        pseudonym text not null,
        owner_id text,
        names text[],
        essays uuid[],
        counts jsonb not null default '{}',
        started_at timestamptz not null default now(),
        finished_at timestamptz
    )
    """,
    """
    create unique index erasures_open on erasures (subject, subject_id) where finished_at is null
    """,
)


def upgrade() -> None:
    """Create the table."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it: what is erased stays erased."""
    op.execute("drop table erasures")
