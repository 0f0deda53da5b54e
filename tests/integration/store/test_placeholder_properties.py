"""Whatever teachers and older versions do, unknown essays go to the class's one placeholder."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError, StudentNotFoundError
from rules.models import EmailChange, MatchResult, Policy, StudentChange, StudentRecord
from rules.placeholders import is_in_place
from rules.suggestions import Outcome
from rules.timeouts import UNKNOWN_NAME, unknown_student_email
from tests.integration.store.builders import (
    A_DAY,
    Stores,
    caller,
    classes_of,
    deliver,
    new_class,
    new_student,
    person,
    result,
    store_one,
    suggest,
)
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = caller()
CLASSES: Final = [UUID(int=100 + i) for i in range(2)]
PUPILS: Final = [UUID(int=200 + i) for i in range(2)]


class School:
    """One teacher's classes and pupils; `seen` are all placeholders that got an essay."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.seen: list[UUID] = []

    async def open(self, cls: UUID, _student: int) -> None:
        request = NewClassRequest(TEACHER, new_class(class_id=cls))
        await self.stores.classes.create_classes([request])

    async def drop(self, cls: UUID, _student: int) -> None:
        await self.stores.classes.delete_class(TEACHER, cls)

    async def older(self, cls: UUID, student: int) -> None:
        """Make an UNKNOWN student as older versions do, with the id of a pupil."""
        email, id_ = unknown_student_email(cls), PUPILS[student % len(PUPILS)]
        new = new_student("UNKNOWN", "STUDENT", email, [cls], id_)
        await self.stores.classes.create_students([NewStudentRequest(TEACHER, new)])

    async def enrol(self, cls: UUID, student: int) -> None:
        new = new_student("Åsa", "Ek", None, [cls], PUPILS[student % len(PUPILS)])
        await self.stores.classes.create_students([NewStudentRequest(TEACHER, new)])

    async def rename(self, _cls: UUID, student: int) -> None:
        await self._change(student, StudentChange(person("Okänd", "Elev")))

    async def name_unknown(self, _cls: UUID, student: int) -> None:
        await self._change(student, StudentChange(UNKNOWN_NAME))

    async def take_address(self, cls: UUID, student: int) -> None:
        address = unknown_student_email(cls).replace("unknown", "Unknown")
        await self._change(student, StudentChange(email=EmailChange(address)))

    async def move(self, cls: UUID, student: int) -> None:
        await self._change(student, StudentChange(add_class_ids=(cls,)))

    async def leave(self, cls: UUID, student: int) -> None:
        await self._change(student, StudentChange(remove_class_ids=(cls,)))

    async def delete(self, _cls: UUID, student: int) -> None:
        await self.stores.classes.delete_student(TEACHER, self._pick(student))

    async def settle(self, _cls: UUID, _student: int) -> None:
        await self.stores.placeholders.settle(None, 10)
        await self.stores.placeholders.withdraw(10)

    async def essay(self, cls: UUID, student: int) -> None:
        """Have the clock decide an essay for which anybody may have been suggested, unsurely."""
        delivery = deliver(cls, await self._unsure(self._pick(student)))
        if await store_one(self.stores, delivery) is not Outcome.STORED:
            return
        batch_id = delivery.message.batch_id
        await self.stores.elapse(A_DAY)
        await self.stores.timers.decide_due([batch_id])
        view = await self.stores.associations.get_batch(TEACHER.user_id, batch_id)
        [shown] = view.associations
        assert shown.association.student_id is not None
        await self._is_its_placeholder(shown.association.student_id, cls)

    async def _is_its_placeholder(self, student_id: UUID, cls: UUID) -> None:
        self.seen.append(student_id)
        assert is_in_place(await self._student(student_id), cls)
        detail = await self.stores.rosters.get_class(TEACHER.user_id, cls)
        assert [s.id for s in detail.students if s.is_placeholder] == [student_id]
        [listed] = [c for c in await classes_of(self.stores, TEACHER.user_id) if c.id == cls]
        assert listed.student_count == len(detail.students) - 1

    async def _unsure(self, student_id: UUID) -> MatchResult:
        """Suggest a student, nobody where it does not exist: such a message would wait."""
        try:
            await self._student(student_id)
        except StudentNotFoundError:
            return result()
        return result(suggest(student_id, 0.5))

    async def _change(self, student: int, change: StudentChange) -> None:
        await self.stores.classes.update_student(TEACHER, self._pick(student), change)

    def _pick(self, student: int) -> UUID:
        known = [*PUPILS, *self.seen[-2:]]
        return known[student % len(known)]

    async def _student(self, student_id: UUID) -> StudentRecord:
        return await self.stores.classes.get_student(TEACHER.user_id, student_id)

    async def check(self) -> None:
        """Whoever got an unknown essay is a placeholder for good, and one for each class."""
        found = [await self._student(i) for i in dict.fromkeys(self.seen)]
        assert all(s.is_placeholder and s.name == UNKNOWN_NAME for s in found)
        assert len({s.email for s in found}) == len(found)


Step = tuple[str, UUID, int]
ACTS: Final = [
    *[
        "open",
        "drop",
        "older",
        "older",
        "enrol",
        "rename",
        "rename",
        "name_unknown",
        "take_address",
        "move",
        "leave",
    ],
    *["delete", "settle", "essay", "essay", "essay"],
]
steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(CLASSES), st.integers(0, 4)), max_size=25
)


async def play(stores: Stores, drawn: Sequence[Step]) -> None:
    school = School(stores)
    for cls in CLASSES:
        await school.open(cls, 0)
    for act, cls, student in drawn:
        perform: Callable[[UUID, int], Awaitable[None]] = getattr(school, act)
        with contextlib.suppress(ServiceError):
            await perform(cls, student)
        await school.check()


@settings(max_examples=300)
@given(steps)
def test_unknown_essays_go_to_the_placeholder_in_memory(drawn: list[Step]) -> None:
    async def run() -> None:
        async with memory_stores(Policy()) as stores:
            await play(stores, drawn)

    asyncio.run(run())


@settings(max_examples=20)
@given(steps)
def test_unknown_essays_go_to_the_placeholder_on_postgres(
    migrated_database: str, drawn: list[Step]
) -> None:
    async def run() -> None:
        async with postgres_stores(migrated_database, Policy()) as stores:
            await play(stores, drawn)

    asyncio.run(run())
