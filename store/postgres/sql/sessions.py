"""What a connection asks about itself, its server and the time."""

from typing import Final

KEEP_ALIVE: Final = "select"

#: For a transaction that waits for a person, who may read slowly.
MAY_BE_IDLE: Final = "set local idle_in_transaction_session_timeout = 0"

#: The types of all parameters and columns that are not built into the driver.
EVERY_TYPE: Final = """
select $1::smallint[], $2::integer[], $3::bigint[], $4::float8[], $5::text[],
    $6::bytea[], $7::uuid[], $8::timestamptz[], $9::jsonb[], $10::json[], $11::boolean[]
"""

#: What positions in lists of people are sealed with.
CURSOR_KEY: Final = "select key from cursor_keys"

CLOCK: Final = "select clock_timestamp()"

#: Reads only. The start of the server tells one server from another that took its place.
WRITE_CHECK: Final = """
select pg_postmaster_start_time() as server,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only,
    array(
        select concat_ws(' ', privilege, 'on', of_table)
        from unnest($1::text[], $2::text[]) as needed (of_table, privilege)
        where not has_table_privilege(of_table, privilege)
    ) as missing
"""

#: The same throughout a transaction, and never later than its decisions.
TRANSACTION_CLOCK: Final = "select now()"
