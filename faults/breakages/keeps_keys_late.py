"""The answer to a key is kept after its effect has committed, in a transaction of its own."""

from rules.idempotency import KeptAnswer, KeyedRequest
from store.postgres.idempotency import PostgresIdempotency
from store.protocols.idempotency import Work

_once = PostgresIdempotency.once


async def once(self: PostgresIdempotency, request: KeyedRequest, work: Work) -> KeptAnswer:
    """Do the work before anything of its key is written."""
    done: list[KeptAnswer] = []

    async def already() -> KeptAnswer:
        return done[0] if done else KeptAnswer(_NOTHING, {}, b"")

    answer = await _once(self, request, already)
    if answer.status != _NOTHING:
        return answer
    done.append(await work())
    return await _once(self, request, already) if done[0].is_kept else done[0]


#: No status that is kept.
_NOTHING = 0
setattr(PostgresIdempotency, "once", once)  # noqa: B010  # mypy takes a method for no variable
