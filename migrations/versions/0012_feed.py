"""The order in which changes are told.

Expands only: what older workers remember is told like everything else, since the transaction that
a change is of comes from the column's default. The index of the changes is in 0013.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

_UP = (
    # By which the process that numbers changes finds those that it has not seen (store.postgres
    # .sql.feed). Null where they are older: they are not told, but histories have them. In two
    # steps: a column that comes with such a default is one that the whole table is rewritten for.
    "alter table changes add column xact xid8",
    "alter table changes alter column xact set default pg_current_xact_id()",
    # The changes that a transaction made for one owner: `ids` are theirs, and the last of them has
    # the number `last_sequence`. `at` is theirs, too, so that both tables have the same weeks.
    """
    create table feed (
        last_sequence bigint not null,
        owner_id text not null,
        xact xid8 not null,
        at timestamptz not null,
        ids bigint[] not null
    ) partition by range (at)
    """,
    "create index feed_sequence on feed (last_sequence)",
    "create index feed_owner on feed (owner_id, last_sequence)",
    "create table feed_default partition of feed default",
    """
    do $$
    declare
        week timestamptz;
    begin
        for week in
            select generate_series(0, 4) * interval '168 hours' + date_trunc('week', now(), 'UTC')
        loop
            execute format('create table %I partition of feed for values from (%L) to (%L)',
                'feed_' || to_char(week at time zone 'UTC', 'YYYYMMDD'),
                week, week + interval '168 hours');
        end loop;
    end $$
    """,
    # One row. `sequence`: the last number given. `done`: what was visible when all of it had been
    # numbered; `target`: what is being numbered, as far as the change `position`; null: nothing.
    # `floor`: the last number that is not told any more. `first_id`: changes up to there are of
    # another cluster. `relation`, `system`, `timeline`: where it runs (rules.feed.Place); null: not
    # known yet. With another place comes another epoch, and cursors of the former are void.
    """
    create table feed_state (
        only_row boolean primary key default true check (only_row),
        epoch uuid not null default gen_random_uuid(),
        sequence bigint not null default 0,
        floor bigint not null default 0,
        done pg_snapshot not null,
        target pg_snapshot,
        position bigint not null default 0,
        first_id bigint not null default 0,
        relation text,
        system text,
        timeline text
    )
    """,
    # Whoever remembers a change with a transaction's number waits for this migration to end, so
    # none of them is visible in this snapshot.
    "insert into feed_state (done) values (pg_current_snapshot())",
)

_DOWN = (
    "drop table feed_state, feed",
    "alter table changes drop column xact",
)


def upgrade() -> None:
    """Expand."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop what came."""
    for statement in _DOWN:
        op.execute(statement)
