"""The answer to a key is kept after its effect has committed, in a transaction of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from rules.idempotency import KeptAnswer, KeyedRequest
from store.postgres.idempotency import PostgresIdempotency

Once = Callable[..., Awaitable[KeptAnswer]]

_once = PostgresIdempotency.once
#: No status that is kept.
_NOTHING = KeptAnswer(0, {}, b"")


def _late(original: Once) -> Once:
    """Do what a request wants under a key that nobody knows, and then keep the answer."""

    async def once(
        self: PostgresIdempotency,
        request: KeyedRequest,
        *given: Any,  # noqa: ANN401  # as the original
    ) -> KeptAnswer:
        kept = await _keep(self, request, _NOTHING)
        if kept is not _NOTHING:
            return kept
        answer = await original(self, replace(request, key=uuid4().hex), *given)
        return await _keep(self, request, answer) if answer.is_kept else answer

    return once


async def _keep(
    store: PostgresIdempotency, request: KeyedRequest, answer: KeptAnswer
) -> KeptAnswer:
    async def work() -> KeptAnswer:
        return answer

    return await _once(store, request, work)


for name in ("once", "create_class", "create_student"):
    setattr(PostgresIdempotency, name, _late(getattr(PostgresIdempotency, name)))
