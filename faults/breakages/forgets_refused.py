"""The relay deletes what the broker refuses, instead of setting it aside."""

from collections.abc import Mapping

from store.postgres.outbox import PostgresLease
from store.protocols.outbox import Refusal


async def _set_aside(self: PostgresLease, rows: Mapping[int, Refusal | None]) -> None:
    await self.delete(list(rows))


PostgresLease.set_aside = _set_aside  # type: ignore[method-assign]
