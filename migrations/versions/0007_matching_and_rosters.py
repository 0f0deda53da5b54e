"""What matching and rosters need: placeholders, keys of addresses, what was suggested, history.

Expands only: older workers go on beside it. New columns are null or have a constant default, so
that no table is rewritten or read, and what is locked is locked for a moment. The indexes of the
tables that were there are in 0008.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_UP = (
    # A person may have one name.
    """
    alter table students
        drop constraint students_first_name_check,
        drop constraint students_last_name_check,
        add constraint students_has_name check (first_name <> '' or last_name <> '') not valid
    """,
    "alter table students add column is_placeholder boolean not null default false",
    # rules.emails.key_of(email), which the program computes; null: not yet, or an older student of
    # the owner has it. `keyed_email` is what it was computed from: older workers change `email`
    # alone.
    "alter table students add column email_key text",
    "alter table students add column keyed_email text",
    # What positions in lists of people are sealed with (web.sealed_cursors), by all workers alike.
    """
    create table cursor_keys (
        key bytea not null check (octet_length(key) = 32)
    )
    """,
    """
    insert into cursor_keys (key)
        select sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid()), 'UTF8'))
    """,
    # What closing a batch needs of a class that is deleted.
    """
    create table deleted_classes (
        id uuid primary key,
        owner_id text not null,
        course_code text not null,
        deleted_by text not null,
        correlation_id uuid not null,
        traceparent text,
        deleted_at timestamptz not null default now()
    )
    """,
    # Set when its class is deleted.
    "alter table batches add column deleted_class_id uuid",
    # Whether the clock decided an essay that has been corrected since.
    "alter table batches add column timeout_triggered boolean not null default false",
    # The program cuts it: a check would be tried on every row that is there.
    "alter table associations add column filename text",
    # [{"student_id", "confidence", "match_reasons"}], usable ones; null: from an older version.
    "alter table associations add column suggestions jsonb",
    # Decisions that were corrected since; the last one is in associations.
    """
    create table association_history (
        essay_id uuid not null references associations on delete cascade,
        number integer not null check (number > 0),
        status text not null,
        method text not null,
        student_id uuid references students on delete set null,
        validated_by text not null,
        validated_at timestamptz not null,
        primary key (essay_id, number)
    )
    """,
    "create index association_history_student on association_history (student_id)",
    # Every change, in the transaction that makes it. `id` rises in the order of an entity's
    # changes: it is drawn while the entity's row is locked. No identity column: a partitioned table
    # has one from PostgreSQL 17 on only.
    "create sequence changes_ids",
    """
    create table changes (
        id bigint not null default nextval('changes_ids'),
        at timestamptz not null default now(),
        owner_id text not null,
        entity text not null check (entity in ('class', 'student', 'enrollment', 'association')),
        entity_id uuid not null,
        class_id uuid,
        kind text not null check (kind in ('created', 'updated', 'deleted')),
        version integer,
        by_user text not null,
        correlation_id uuid not null,
        before json,
        after json
    ) partition by range (at)
    """,
    "alter sequence changes_ids owned by changes.id",
    # An account that may insert has to draw a number: an identity column would ask for nothing.
    "grant usage on sequence changes_ids to public",
    # Not of associations, which are most: their decisions have a history of their own.
    "create index changes_entity on changes (entity_id) where entity <> 'association'",
    # For rows whose week has no partition.
    "create table changes_default partition of changes default",
    # The first weeks; housekeeping goes on with it (store.postgres.partitions).
    """
    do $$
    declare
        week timestamptz;
    begin
        for week in
            select generate_series(0, 4) * interval '168 hours' + date_trunc('week', now(), 'UTC')
        loop
            execute format('create table %I partition of changes for values from (%L) to (%L)',
                'changes_' || to_char(week at time zone 'UTC', 'YYYYMMDD'),
                week, week + interval '168 hours');
        end loop;
    end $$
    """,
)

_DOWN = (
    "drop table changes, association_history, deleted_classes, cursor_keys",
    "alter table associations drop column filename, drop column suggestions",
    "alter table batches drop column deleted_class_id, drop column timeout_triggered",
    # `not valid`: a student with one name does not stop the way back.
    """
    alter table students
        drop column is_placeholder,
        drop column email_key,
        drop column keyed_email,
        drop constraint students_has_name,
        add constraint students_first_name_check check (first_name <> '') not valid,
        add constraint students_last_name_check check (last_name <> '') not valid
    """,
)


def upgrade() -> None:
    """Expand."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop what came."""
    for statement in _DOWN:
        op.execute(statement)
