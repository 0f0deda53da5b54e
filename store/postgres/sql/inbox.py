"""Messages that were handled."""

from typing import Final

HANDLED_BEFORE: Final = "select id from inbox where id = any($1::uuid[])"

ENTER_INBOX: Final = """
insert into inbox (id) select id from unnest($1::uuid[]) as id order by id
on conflict do nothing returning id
"""

#: Like ENTER_INBOX, with the delivery that brings each command.
ENTER_COMMANDS: Final = """
insert into inbox (id, delivery)
select id, delivery from unnest($1::uuid[], $2::uuid[]) as command (id, delivery) order by id
on conflict do nothing returning id
"""

#: A row without a delivery is not of a command.
FIRST_DELIVERIES: Final = "select id, delivery from inbox where id = any($1::uuid[])"

ENTERED_BY_COMMANDS: Final = """
select id from inbox where id = any($1::uuid[]) and delivery is not null
"""

#: For messages that are not commands.
LEAVE_INBOX: Final = "delete from inbox where id = any($1::uuid[]) and delivery is null"

PURGE_INBOX: Final = "delete from inbox where handled_at < now() - make_interval(days => $1)"
