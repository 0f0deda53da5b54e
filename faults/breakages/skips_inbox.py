"""The inbox is written but not read: repeated messages are handled again."""

from typing import Final

from store.postgres import sql

BROKEN: Final = {
    "HANDLED_BEFORE": "select id from inbox where false and id = any($1::uuid[])",
    "ENTER_INBOX": """
        with entered as (
            insert into inbox (id) select id from unnest($1::uuid[]) as id order by id
            on conflict do nothing
        )
        select id from unnest($1::uuid[]) as id
        """,
    "ENTER_COMMANDS": """
        with entered as (
            insert into inbox (id, delivery)
            select id, delivery from unnest($1::uuid[], $2::uuid[]) as command (id, delivery)
            order by id on conflict do nothing
        )
        select id from unnest($1::uuid[]) as id
        """,
}

for name, statement in BROKEN.items():
    setattr(sql.inbox, name, statement)
