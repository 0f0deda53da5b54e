"""Requests that are repeated or only tried, in memory."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from rules.changes import NewClassRequest, NewStudentRequest, record_of
from rules.errors import ServiceError
from rules.idempotency import KEPT, KeptAnswer, KeyedRequest, replay
from rules.joining import student_of
from rules.models import ClassRecord, StudentRecord
from store.keys import Answered, KeysInUse
from store.memory import roster, students
from store.memory.state import MemoryStore, StoredAnswer
from store.memory.trials import tried
from store.protocols.idempotency import Work

T = TypeVar("T")


class MemoryIdempotency:
    """Implements IdempotencyProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store
        self._keys: Final = KeysInUse()

    async def once(self, request: KeyedRequest, work: Work) -> KeptAnswer:
        return await self._keys.once(request, lambda: self._once(request, work))

    async def create_class(
        self,
        request: KeyedRequest,
        wanted: NewClassRequest,
        answer: Callable[[ClassRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        async def work() -> KeptAnswer:
            made = record_of(roster.create_class(self._store, wanted))
            return await answer(_or_raise(made))

        return await self.once(request, work)

    async def create_student(
        self,
        request: KeyedRequest,
        wanted: NewStudentRequest,
        answer: Callable[[StudentRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        async def work() -> KeptAnswer:
            made = student_of(students.create_student(self._store, wanted))
            return await answer(_or_raise(made))

        return await self.once(request, work)

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        with tried(self._store):
            return await work()

    async def _once(self, request: KeyedRequest, work: Work) -> Answered:
        key = request.owner_id, request.key
        stored = self._store.answers.get(key)
        if stored is not None and stored.at > self._store.now() - KEPT:
            return replay(request, stored.digest, stored.answer)
        answer = await work()
        if answer.is_kept:
            self._store.answers[key] = StoredAnswer(request.digest, answer, self._store.now())
        return answer


def _or_raise(made: T | ServiceError) -> T:
    if isinstance(made, ServiceError):
        raise made
    return made
