"""Requests that are repeated or only tried, in memory."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rules.idempotency import KEPT, KeptAnswer, KeyedRequest, replay
from store.memory.state import MemoryStore, StoredAnswer
from store.memory.trials import tried
from store.protocols.idempotency import Work
from store.waiting import when_free

T = TypeVar("T")


class MemoryIdempotency:
    """Implements IdempotencyProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store
        self._under_way: Final[set[tuple[str, str]]] = set()

    async def once(self, request: KeyedRequest, work: Work) -> KeptAnswer:
        return await when_free(lambda: self._once(request, work))

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        with tried(self._store):
            return await work()

    async def _once(self, request: KeyedRequest, work: Work) -> KeptAnswer | None:
        key = request.owner_id, request.key
        if key in self._under_way:
            return None
        stored = self._store.answers.get(key)
        if stored is not None and stored.at > self._store.now() - KEPT:
            return replay(request, stored.digest, stored.answer)
        self._under_way.add(key)
        try:
            answer = await work()
        finally:
            self._under_way.discard(key)
        if answer.is_kept:
            self._store.answers[key] = StoredAnswer(request.digest, answer, self._store.now())
        return answer
