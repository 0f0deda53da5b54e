"""Batches are not locked: two decisions on the last essays do not see each other."""

import asyncio
from typing import Any

from store.postgres import closing, decisions, sql

#: Between a decision and the check for pending essays, so that another can come in between.
PAUSE_SECONDS = 0.05

_close_decided = closing.close_decided


async def close_decided(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # as the original
    """Wait before the check."""
    await asyncio.sleep(PAUSE_SECONDS)
    return await _close_decided(*given, **named)


setattr(decisions, "close_decided", close_decided)  # noqa: B010  # mypy does not see the name
for name in ("LOCK_BATCHES", "LOCK_OWNED_BATCH", "LOCK_FREE_BATCHES"):
    statement = getattr(sql, name)
    for lock in ("for update of batches", "for update skip locked", "for update"):
        statement = statement.replace(lock, "")
    setattr(sql, name, statement)
