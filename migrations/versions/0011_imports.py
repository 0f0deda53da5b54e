"""Imports: plans, their rows, how far they are applied, and what they leave."""

from alembic import op

revision = "0011"
down_revision = "0010b"

_UP = (
    # `next_at` is set while it is applied: when a worker may take it. The trace is of who applies.
    """
    create table imports (
        id uuid primary key,
        owner_id text not null,
        state text not null
            check (state in ('planned', 'applying', 'applied', 'failed', 'expired')),
        mode text not null check (mode in ('add', 'sync')),
        class_id uuid,
        summary json not null,
        undoes uuid,
        filename text,
        version integer not null default 1,
        rows_total integer not null,
        rows_over integer not null default 0,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null,
        ended_at timestamptz,
        next_at timestamptz,
        correlation_id uuid not null,
        traceparent text
    )
    """,
    "create index imports_owner on imports (owner_id, created_at desc, id desc)",
    "create index imports_next on imports (next_at) where state = 'applying'",
    "create index imports_planned on imports (expires_at) where state = 'planned'",
    "create index imports_ended on imports (ended_at) where ended_at is not null",
    # What is applied in one transaction; `class_id` is no reference: the class may not be there,
    # yet or any more.
    """
    create table import_parts (
        import_id uuid not null references imports on delete cascade,
        number integer not null,
        class_id uuid,
        fingerprint text not null,
        is_new boolean not null,
        is_large boolean not null,
        has_errors boolean not null,
        taken_out integer not null,
        changed integer not null,
        size integer not null,
        row_count integer not null,
        state text not null default 'pending' check (state in ('pending', 'done', 'left_out')),
        reason text,
        tries integer not null default 0,
        primary key (import_id, number)
    )
    """,
    # Names and addresses, before and after: as private as `students`. `part` is null for what no
    # part applies. `rests`: the part rests on the values of its student; `kept`: the import leaves
    # something of it as it was made by hand.
    """
    create table import_rows (
        import_id uuid not null references imports on delete cascade,
        number integer not null,
        part integer,
        kind text not null,
        entity text not null,
        line integer,
        file text not null,
        class_id uuid,
        student_id uuid,
        before json,
        after json,
        errors json,
        notices json,
        rests boolean not null,
        kept boolean not null,
        primary key (import_id, number)
    )
    """,
    "create index import_rows_part on import_rows (import_id, part, number)",
    # What the last import left: who changed it since, did so by hand.
    """
    create table import_marks (
        student_id uuid primary key references students on delete cascade,
        first_name text not null,
        last_name text not null,
        legal_full_name text not null,
        email text,
        external_id text
    )
    """,
    """
    create table import_class_marks (
        class_id uuid primary key references classes on delete cascade,
        name text not null,
        external_id text
    )
    """,
    """
    create table import_members (
        class_id uuid not null references classes on delete cascade,
        student_id uuid not null references students on delete cascade,
        primary key (class_id, student_id)
    )
    """,
    "create index import_members_student on import_members (student_id)",
    # Written at once, and deleted at once.
    """
    alter table import_rows set (autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.2)
    """,
)

_DOWN = (
    "drop table import_members, import_class_marks, import_marks",
    "drop table import_rows, import_parts, imports",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them, and with them what can be undone."""
    for statement in _DOWN:
        op.execute(statement)
