"""The clock decides what is due within the next five seconds, too."""

from store.postgres import sql

for name in ("COUNT_DUE", "ESSAYS_TO_JUDGE", "DECIDE_BY_CLOCK"):
    statement = getattr(sql.decisions, name)
    setattr(sql.decisions, name, statement.replace("interval '0'", "interval '5 seconds'"))
