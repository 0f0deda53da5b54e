"""The outbox keeps the messages of a statement and a shard in one row, as one piece of bytes.

Half as expensive as a row for each message. Older workers run beside this, also after the program
is rolled back: for them `outbox` is a view with a row for each message, which takes what they
insert and delete. The rows that are there are rewritten in place: they keep their numbers, and the
table its grants. How a message lies in `content` is said in store/postgres/packs.py.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

_PACK = (
    """
    create function outbox_piece(topic text, key bytea, value bytea, headers bytea) returns bytea
    language sql stable parallel safe as $$
        select int4send(10 + octet_length(convert_to(topic, 'UTF8'))
                + coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)
                + octet_length(headers))
            || int2send(octet_length(convert_to(topic, 'UTF8'))::smallint)
            || int4send(coalesce(octet_length(key), -1))
            || int4send(coalesce(octet_length(value), -1))
            || convert_to(topic, 'UTF8') || coalesce(key, '') || coalesce(value, '') || headers
    $$
    """,
    "alter table outbox rename to outbox_packs",
    # Up to this size a row is neither compressed nor put into another table. There are fewer dead
    # rows, and each is larger.
    """
    alter table outbox_packs
        set (toast_tuple_target = 8160, autovacuum_vacuum_threshold = 1000)
    """,
    """
    alter table outbox_packs
        alter column value type bytea using outbox_piece(topic, key, value, headers),
        alter column value set not null,
        add column messages integer not null default 1,
        alter column id set increment by 1000
    """,
    """
    alter table outbox_packs
        drop column topic, drop column key, drop column headers,
        alter column messages drop default,
        add check (messages between 1 and 1000)
    """,
    "alter table outbox_packs rename column value to content",
)

#: For people, and for what no worker does for each message.
_VIEW = (
    """
    create function outbox_integer(content bytea, at integer) returns integer
    language sql immutable strict parallel safe as $$
        select (get_byte(content, at) << 24) | (get_byte(content, at + 1) << 16)
            | (get_byte(content, at + 2) << 8) | get_byte(content, at + 3)
    $$
    """,
    # Of the message at a place, from 0: part 0 is all of it, 1 the topic, 2 the key, 3 the value, 4
    # the headers.
    """
    create function outbox_part(content bytea, place integer, part integer) returns bytea
    language plpgsql immutable strict parallel safe as $$
    declare
        plain bytea := content || '';  -- else each step would read all of a large one again
        at integer := 0;
        size integer;
        sizes integer[];
    begin
        for _ in 1..place loop
            at := at + 4 + outbox_integer(plain, at);
        end loop;
        size := outbox_integer(plain, at);
        if part = 0 then
            return substr(plain, at + 1, 4 + size);
        end if;
        sizes := array[
            (get_byte(plain, at + 4) << 8) | get_byte(plain, at + 5),
            outbox_integer(plain, at + 6), outbox_integer(plain, at + 10)];
        sizes[4] := size - 10 - sizes[1] - greatest(sizes[2], 0) - greatest(sizes[3], 0);
        if sizes[part] < 0 then
            return null;
        end if;
        at := at + 14;
        for before in 1..part - 1 loop
            at := at + greatest(sizes[before], 0);
        end loop;
        return substr(plain, at + 1, sizes[part]);
    end
    $$
    """,
    # Of the collation that the column had: older workers' prepared statements would end otherwise.
    """
    create view outbox as
    select packs.id + place as id, shard,
        convert_from(outbox_part(content, place, 1), 'UTF8') collate "default" as topic,
        outbox_part(content, place, 2) as key, outbox_part(content, place, 3) as value,
        outbox_part(content, place, 4) as headers, created_at, packs.id as pack
    from outbox_packs as packs
    cross join lateral generate_series(0, messages - 1) as place
    """,
    # Whoever could use the table may use the view.
    """
    do $$
    declare
        given record;
    begin
        execute format('alter view outbox owner to %s', (
            select relowner::regrole from pg_class where oid = 'outbox_packs'::regclass));
        for given in
            select privilege_type, is_grantable,
                case grantee when 0 then 'public' else grantee::regrole::text end as grantee
            from pg_class cross join lateral aclexplode(relacl)
            where oid = 'outbox_packs'::regclass and grantee <> relowner
                and privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        loop
            execute format('grant %s on outbox to %s %s', given.privilege_type, given.grantee,
                case when given.is_grantable then 'with grant option' end);
        end loop;
    end
    $$
    """,
)

#: What older workers do. An identity asks for no right on its sequence, nextval() would.
_TRIGGERS = (
    """
    create function outbox_insert() returns trigger language plpgsql as $$
    declare
        piece bytea := outbox_piece(new.topic, new.key, new.value, new.headers);
    begin
        new.created_at := coalesce(new.created_at, now());
        if new.id is null then
            insert into outbox_packs (shard, messages, content, created_at)
            values (new.shard, 1, piece, new.created_at) returning id into new.id;
        else
            insert into outbox_packs (id, shard, messages, content, created_at)
            overriding system value values (new.id, new.shard, 1, piece, new.created_at);
        end if;
        return new;
    end
    $$
    """,
    """
    create trigger outbox_insert instead of insert on outbox
    for each row execute function outbox_insert()
    """,
    # The others of the pack become packs of their own, under their numbers.
    """
    create function outbox_change() returns trigger language plpgsql as $$
    begin
        with pack as (
            delete from outbox_packs where shard = old.shard and id = old.pack and messages > 1
            returning *
        )
        insert into outbox_packs (id, shard, messages, content, created_at) overriding system value
        select id + place, shard, 1, outbox_part(content, place, 0), created_at
        from pack cross join lateral generate_series(0, messages - 1) as place;
        delete from outbox_packs where shard = old.shard and id = old.id and messages = 1;
        if not found then
            return null;
        end if;
        if tg_op = 'DELETE' then
            return old;
        end if;
        insert into outbox_packs (id, shard, messages, content, created_at) overriding system value
        values (old.id, old.shard, 1,
            outbox_piece(new.topic, new.key, new.value, new.headers), new.created_at);
        return new;
    end
    $$
    """,
    """
    create trigger outbox_change instead of update or delete on outbox
    for each row execute function outbox_change()
    """,
)

_DOWN = (
    "drop view outbox",
    "drop function outbox_insert, outbox_change",
    """
    alter table outbox_packs drop constraint outbox_packs_messages_check, add column topic text,
        add column key bytea, add column headers bytea, alter column content drop not null
    """,
    """
    with packs as (delete from outbox_packs returning *)
    insert into outbox_packs (id, shard, topic, key, content, headers, created_at, messages)
        overriding system value
    select id + place, shard, convert_from(outbox_part(content, place, 1), 'UTF8'),
        outbox_part(content, place, 2), outbox_part(content, place, 3),
        outbox_part(content, place, 4), created_at, 1
    from packs cross join lateral generate_series(0, messages - 1) as place
    """,
    # The last pack's messages have the numbers after its own.
    "select nextval(pg_get_serial_sequence('outbox_packs', 'id'))",
    """
    alter table outbox_packs alter column topic set not null, alter column headers set not null,
        drop column messages, alter column id set increment by 1
    """,
    "alter table outbox_packs reset (toast_tuple_target)",
    "alter table outbox_packs set (autovacuum_vacuum_threshold = 5000)",
    "alter table outbox_packs rename column content to value",
    "alter table outbox_packs rename to outbox",
    "drop function outbox_part, outbox_integer, outbox_piece",
)


def upgrade() -> None:
    """Rewrite the table, and make the view."""
    op.execute("lock table outbox in access exclusive mode")
    for statement in (*_PACK, *_VIEW, *_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    """Make the old table again, with a row for each message."""
    op.execute("lock table outbox_packs in access exclusive mode")
    for statement in _DOWN:
        op.execute(statement)
