"""Requests that are repeated with their keys leave what they leave when each comes once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.changes import NewClassRequest, NewStudentRequest
from rules.errors import ServiceError
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.models import ClassChange, ClassRecord, Policy, StudentChange, StudentRecord
from tests.integration.store.builders import Stores, caller, new_class, new_student
from tests.support.profiles import by_profile
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = caller("lärare-1")
IDS: Final = [UUID(int=100 + n) for n in range(3)]
KINDS: Final = (
    "create_class",
    "rename_class",
    "delete_class",
    "create_student",
    "join_class",
    "delete_student",
)


@dataclass(frozen=True)
class Step:
    """A request; `repeats` are how many of those before it are sent again behind it."""

    kind: str
    number: int
    repeats: tuple[int, ...]
    gathered: bool


steps = st.builds(
    Step,
    st.sampled_from(KINDS),
    st.integers(0, 2),
    st.lists(st.integers(0, 9), max_size=2).map(tuple),
    st.booleans(),
)
Answer = KeptAnswer | type[ServiceError]


async def act(stores: Stores, step: Step, place: int) -> KeptAnswer:
    wanted, classes = IDS[step.number], stores.classes
    made: ClassRecord | StudentRecord | ServiceError
    match step.kind:
        case "create_class":
            new = NewClassRequest(TEACHER, new_class(f"{place}", class_id=wanted))
            made = (await classes.create_classes([new]))[0]
        case "rename_class":
            made = (await classes.update_class(TEACHER, wanted, ClassChange(f"{place}"))).record
        case "delete_class":
            await classes.delete_class(TEACHER, wanted)
            return KeptAnswer(204, {}, b"")
        case "create_student":
            new_one = new_student("Åsa", f"{place}", f"{step.number}@x.example", (), wanted)
            made = (await classes.create_students([NewStudentRequest(TEACHER, new_one)]))[0]
        case "join_class":
            change = StudentChange(add_class_ids=(wanted,))
            made = await classes.update_student(TEACHER, IDS[0], change)
        case _:
            await classes.delete_student(TEACHER, wanted)
            return KeptAnswer(204, {}, b"")
    if isinstance(made, ServiceError):
        raise made
    return KeptAnswer(200, {"ETag": str(made.version)}, str(made.id).encode())


async def told(made: ClassRecord) -> KeptAnswer:
    return KeptAnswer(200, {}, str(made.id).encode())


async def send(stores: Stores, step: Step, place: int) -> Answer:
    key = KeyedRequest(TEACHER.user_id, f"key-{place}", step.kind.encode())
    try:
        if step.gathered and step.kind == "create_class":
            new = NewClassRequest(TEACHER, new_class(f"{place}", class_id=IDS[step.number]))
            return await stores.idempotency.create_class(key, new, told)
        return await stores.idempotency.once(key, lambda: act(stores, step, place))
    except ServiceError as refusal:
        return type(refusal)


def content(answer: Answer) -> object:
    if isinstance(answer, KeptAnswer):
        return answer.status, dict(answer.headers), answer.body
    return answer


async def play(stores: Stores, played: Sequence[Step], *, repeats: bool) -> list[Any]:
    answers: list[Answer] = []
    for place, step in enumerate(played):
        answers.append(await send(stores, step, place))
        again = {back for back in step.repeats if back <= place} if repeats else set()
        # A refusal is no effect: who sends it again asks anew.
        earlier = [i for i in again if isinstance(answers[i], KeptAnswer)]
        repeated = await asyncio.gather(*(send(stores, played[i], i) for i in earlier))
        assert [content(one) for one in repeated] == [content(answers[i]) for i in earlier]
        assert all(isinstance(one, KeptAnswer) and one.is_replay for one in repeated)
    world = await stores.past.world()
    changed = [(one.key, one.kind, one.before, one.after) for one in await stores.past.changes()]
    told = [(one.topic, one.key) for one in await stores.published()]
    return [[content(one) for one in answers], world, changed, told]


@given(played=st.lists(steps, min_size=1, max_size=10))
@settings(max_examples=by_profile(short=60, long=600))
async def test_repetitions_leave_no_trace_in_memory(played: list[Step]) -> None:
    async with memory_stores(Policy()) as once, memory_stores(Policy()) as often:
        expected = await play(once, played, repeats=False)
        assert await play(often, played, repeats=True) == expected


@given(played=st.lists(steps, min_size=1, max_size=10))
@settings(max_examples=by_profile(short=8, long=80))
async def test_repetitions_leave_no_trace_on_postgres(
    migrated_database: str, played: list[Step]
) -> None:
    async with memory_stores(Policy()) as once:
        expected = await play(once, played, repeats=False)
    async with postgres_stores(migrated_database, Policy()) as often:
        answers, world, _, told = await play(often, played, repeats=True)
    assert (answers, world, sorted(told)) == (expected[0], expected[1], sorted(expected[3]))
