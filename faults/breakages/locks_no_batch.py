"""Batches are not locked: two decisions on the last essays do not see each other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from store.postgres import closing, decisions, sql

#: Between a decision and the check for pending essays, so that another can come in between.
PAUSE_SECONDS = 0.05


def late(check: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wait before a check."""

    async def checked(*given: Any) -> Any:  # noqa: ANN401  # as the original
        await asyncio.sleep(PAUSE_SECONDS)
        return await check(*given)

    return checked


for name in ("close_decided", "close_known"):
    setattr(decisions, name, late(getattr(closing, name)))
for subject, name in (
    (sql.suggestions, "LOCK_BATCHES"),
    (sql.decisions, "LOCK_OWNED_BATCH"),
    (sql.decisions, "LOCK_FREE_BATCHES"),
):
    statement = getattr(subject, name)
    for lock in ("for no key update of batches", "for update skip locked", "for update"):
        statement = statement.replace(lock, "")
    setattr(subject, name, statement)
