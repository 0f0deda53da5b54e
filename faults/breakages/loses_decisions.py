"""A teacher's decision is acknowledged but not written: later the clock decides."""

from store.postgres import sql

NOTHING = "select $1::uuid[], $2::text[], $3::uuid[], $4::text, $5::uuid, $6::uuid[], $7::uuid"

setattr(sql.decisions, "DECIDE_BY_HUMAN", NOTHING)  # noqa: B010  # final for mypy
