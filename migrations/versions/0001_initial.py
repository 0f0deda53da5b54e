"""Classes, students, associations, and the tables that carry messages."""

from alembic import op

revision = "0001"
down_revision = None

_UP = (
    """
    create table courses (
        code text primary key,
        name text not null,
        language text not null check (language ~ '^[a-z]{2}$')
    )
    """,
    """
    insert into courses (code, name, language) values
        ('ENG5', 'English 5', 'en'),
        ('ENG6', 'English 6', 'en'),
        ('ENG7', 'English 7', 'en'),
        ('SV1', 'Svenska 1', 'sv'),
        ('SV2', 'Svenska 2', 'sv'),
        ('SV3', 'Svenska 3', 'sv')
    """,
    """
    create table classes (
        id uuid primary key,
        owner_id text not null check (char_length(owner_id) between 1 and 255),
        name text not null check (char_length(name) between 1 and 100),
        course_code text not null references courses,
        version integer not null default 1 check (version > 0),
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(),
        -- the target of enrollments' foreign key, which keeps owners apart
        constraint classes_id_owner unique (id, owner_id)
    )
    """,
    "create index classes_newest on classes (owner_id, created_at desc, id desc)",
    """
    create table students (
        id uuid primary key,
        owner_id text not null check (char_length(owner_id) between 1 and 255),
        first_name text not null check (first_name <> ''),
        last_name text not null check (last_name <> ''),
        legal_full_name text not null check (legal_full_name <> ''),
        email text check (email like '%_@_%'),
        version integer not null default 1 check (version > 0),
        created_at timestamptz not null default now(),
        updated_at timestamptz not null default now()
    )
    """,
    "create unique index students_owner_email on students (owner_id, lower(email))",
    # After it: of two indexes that look as cheap, as they do until a new table is analyzed,
    # PostgreSQL takes the newer one, and would check each enrolment by all of its owner's students.
    "alter table students add constraint students_id_owner unique (id, owner_id)",
    # A student can only join a class of the same owner: both foreign keys contain the owner.
    """
    create table enrollments (
        class_id uuid not null,
        student_id uuid not null,
        owner_id text not null,
        primary key (class_id, student_id),
        foreign key (class_id, owner_id) references classes (id, owner_id) on delete cascade,
        foreign key (student_id, owner_id) references students (id, owner_id) on delete cascade
    )
    """,
    "create index enrollments_student on enrollments (student_id, class_id)",
    """
    create table batches (
        id uuid primary key,
        class_id uuid references classes on delete set null,
        correlation_id uuid not null,
        traceparent text,
        created_at timestamptz not null default now(),
        closed_at timestamptz
    )
    """,
    "create index batches_class on batches (class_id)",
    """
    create function batch_closes_once() returns trigger language plpgsql as $$
    begin
        raise exception 'a batch closes once' using errcode = 'integrity_constraint_violation';
    end
    $$
    """,
    """
    create trigger batches_close_once before update of closed_at on batches
        for each row
        when (old.closed_at is not null and new.closed_at is distinct from old.closed_at)
        execute function batch_closes_once()
    """,
    """
    create table associations (
        essay_id uuid primary key,
        batch_id uuid not null references batches on delete cascade,
        suggested_student_id uuid references students on delete set null,
        student_id uuid references students on delete set null,
        confidence double precision not null check (confidence between 0 and 1),
        match_reasons text[] not null,
        status text not null,
        method text,
        validated_by text,
        validated_at timestamptz,
        created_at timestamptz not null default now(),
        confirm_by timestamptz not null,
        constraint associations_state check (
            (status = 'pending_validation' and method is null
                and validated_by is null and validated_at is null and student_id is null)
            or (validated_by is not null and validated_at is not null and (
                (status in ('confirmed', 'rejected') and method = 'human')
                or (status = 'confirmed' and method = 'auto')
                or (status = 'timeout_confirmed' and method = 'timeout')
            ))
        )
    )
    """,
    "create index associations_batch on associations (batch_id)",
    "create index associations_suggested on associations (suggested_student_id)",
    "create index associations_student on associations (student_id)",
    """
    create index associations_due on associations (confirm_by, batch_id)
        where status = 'pending_validation'
    """,
    """
    create index associations_pending on associations (batch_id, confirm_by)
        where status = 'pending_validation'
    """,
    # What was handled before: event ids, or for dead letters the identity of the delivery.
    """
    create table inbox (
        id uuid primary key,
        handled_at timestamptz not null default now()
    )
    """,
    "create index inbox_handled on inbox using brin (handled_at)",
    """
    create table parked (
        id bigint generated always as identity primary key,
        event_id uuid not null unique,
        batch_id uuid not null,
        topic text not null,
        partition integer not null,
        "offset" bigint not null,
        timestamp_ms bigint not null,
        key bytea,
        value bytea,
        headers bytea not null,
        attempts integer not null default 0,
        next_try_at timestamptz not null,
        deadline timestamptz not null
    )
    """,
    "create index parked_batch on parked (batch_id)",
    "create index parked_next_try on parked (next_try_at)",
    """
    create table outbox (
        id bigint generated always as identity,
        shard smallint not null check (shard between 0 and 15),
        topic text not null,
        key bytea,
        value bytea,
        headers bytea not null,
        created_at timestamptz not null default now(),
        primary key (shard, id)
    )
    """,
    # Queues are mostly dead rows: vacuum by number of changes, not by share of the table.
    """
    alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.5)
    """,
    """
    alter table parked set (autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000)
    """,
    """
    alter table inbox set (autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.2)
    """,
)

_DOWN = (
    """
    drop table outbox, parked, inbox, associations, batches, enrollments, students, classes,
        courses
    """,
    "drop function batch_closes_once()",
)


def upgrade() -> None:
    """Create everything."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    for statement in _DOWN:
        op.execute(statement)
