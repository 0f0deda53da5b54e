"""What a teacher decides is acknowledged, and not written: the clock decides in the end."""

from store.postgres import sql

NOTHING = "select $1::uuid[], $2::text[], $3::uuid[], $4::text"

setattr(sql, "DECIDE_BY_HUMAN", NOTHING)  # noqa: B010  # final, as mypy sees it
