"""Requests that are repeated or only tried, on PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from rules.changes import NewClassRequest, NewStudentRequest, record_of
from rules.errors import ServiceError
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.joining import student_of
from rules.models import ClassRecord, StudentRecord
from store.keys import Answered, KeysInUse
from store.postgres import kept_answers, roster, students
from store.postgres.coalescing import Coalescer
from store.postgres.database import Connection, Database
from store.protocols.idempotency import Work

T = TypeVar("T")
WantedT = TypeVar("WantedT")
RecordT = TypeVar("RecordT")

Create: TypeAlias = Callable[
    [Connection, Sequence[WantedT]], Awaitable[list[RecordT | ServiceError]]
]


@dataclass(frozen=True, slots=True, eq=False)
class _Creation(Generic[WantedT, RecordT]):
    """A request with a key that creates something, and how it is answered."""

    request: KeyedRequest
    wanted: WantedT
    answer: Callable[[RecordT], Awaitable[KeptAnswer]]


class _Creator(Generic[WantedT, RecordT]):
    """Takes the keys of simultaneous requests, creates, and keeps the answers, in one commit.

    None of them waits for another's key.
    """

    def __init__(self, database: Database, create: Create[WantedT, RecordT]) -> None:
        self._database = database
        self._create = create
        self._together = Coalescer(self._carry_out, lambda creation: creation.request.owner_id)

    async def attempt(self, creation: _Creation[WantedT, RecordT]) -> Answered:
        (answered,) = await self._together.ask([creation])
        return answered

    async def _carry_out(self, creations: Sequence[_Creation[WantedT, RecordT]]) -> list[Answered]:
        async def work(connection: Connection) -> list[Answered]:
            return await self._in_transaction(connection, creations)

        return await self._database.transact(work)

    async def _in_transaction(
        self, connection: Connection, creations: Sequence[_Creation[WantedT, RecordT]]
    ) -> list[Answered]:
        answered = await kept_answers.take(connection, [one.request for one in creations])
        free = [one for one in creations if one.request not in answered]
        made = await self._create(connection, [one.wanted for one in free]) if free else []
        for one, record in zip(free, made, strict=True):
            answered[one.request] = (
                record if isinstance(record, ServiceError) else await one.answer(record)
            )
        await kept_answers.keep(connection, {one.request: answered[one.request] for one in free})
        return [answered[one.request] for one in creations]


async def _create_classes(
    connection: Connection, wanted: Sequence[NewClassRequest]
) -> list[ClassRecord | ServiceError]:
    return [record_of(made) for made in await roster.create_classes(connection, wanted)]


async def _create_students(
    connection: Connection, wanted: Sequence[NewStudentRequest]
) -> list[StudentRecord | ServiceError]:
    return [student_of(made) for made in await students.create(connection, wanted)]


class PostgresIdempotency:
    """Implements IdempotencyProtocol."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = KeysInUse()
        self._classes = _Creator(database, _create_classes)
        self._students = _Creator(database, _create_students)

    async def once(self, request: KeyedRequest, work: Work) -> KeptAnswer:
        async def attempt() -> Answered:
            return await self._database.transact_all(
                lambda connection: _once(connection, request, work), _is_new
            )

        return await self._keys.once(request, attempt)

    async def create_class(
        self,
        request: KeyedRequest,
        wanted: NewClassRequest,
        answer: Callable[[ClassRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        creation = _Creation(request, wanted, answer)
        return await self._keys.once(request, lambda: self._classes.attempt(creation))

    async def create_student(
        self,
        request: KeyedRequest,
        wanted: NewStudentRequest,
        answer: Callable[[StudentRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        creation = _Creation(request, wanted, answer)
        return await self._keys.once(request, lambda: self._students.attempt(creation))

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._database.transact_all(lambda _: work(), lambda _: False)


def _is_new(answered: Answered) -> bool:
    return isinstance(answered, KeptAnswer) and answered.is_kept and not answered.is_replay


async def _once(connection: Connection, request: KeyedRequest, work: Work) -> Answered:
    taken = await kept_answers.take(connection, [request])
    if request in taken:
        return taken[request]
    answer = await work()
    await kept_answers.keep(connection, {request: answer})
    return answer
