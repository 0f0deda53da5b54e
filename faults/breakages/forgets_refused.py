"""The relay deletes what the broker refuses, instead of setting it aside."""

from collections.abc import Mapping, Sequence

from store.postgres.outbox import PostgresLease
from store.protocols.outbox import Pack, Refusal

_end = PostgresLease.end


async def _forget(
    self: PostgresLease, done: Sequence[Pack], set_aside: Mapping[int, Refusal | None]
) -> None:
    del set_aside
    await _end(self, done, {})


PostgresLease.end = _forget  # type: ignore[method-assign]
