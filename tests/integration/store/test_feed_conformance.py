"""What changed is told in its order, to its owner or to all, and histories tell who did what."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.changes import NewStudentRequest
from rules.errors import ClassNotFoundError, ResyncRequiredError, StudentNotFoundError
from rules.feed import FeedPage, FeedQuery, Position, ToldChange, data_of
from rules.history import ChangeKind, Entity
from rules.ids import new_id
from rules.models import (
    SYSTEM_AUTO,
    Caller,
    ClassChange,
    HumanDecision,
    Policy,
    StudentChange,
    Trace,
)
from tests.integration.store.builders import (
    A_DAY,
    MakeStores,
    Stores,
    caller,
    make_batch,
    make_class,
    make_classroom,
    new_student,
    person,
)
from tests.integration.store.test_changes_conformance import FIRST, Step, steps
from tests.support import past
from tests.support.past import Remembered, as_read
from tests.support.stores import memory_stores, postgres_stores
from tests.support.told import check as check_told
from tests.support.told import told as read_all

CREATED, UPDATED, DELETED = ChangeKind


async def told(
    stores: Stores, owner: str | None = None, after: Position | None = None, limit: int = 3
) -> list[ToldChange]:
    return await read_all(stores.feed, owner, after, limit)


async def page(stores: Stores, after: Position | None = None, owner: str | None = None) -> FeedPage:
    while await stores.feed.number():
        pass
    return await stores.feed.changes(FeedQuery(100, owner, after))


# --- what is told --------------------------------------------------------------------------------


async def test_nothing_is_told_where_nothing_has_changed(stores: Stores) -> None:
    first = await page(stores)
    assert (first.changes, first.more) == ([], False)
    again = await page(stores, first.next)
    assert (again.changes, again.more, again.next) == ([], False, first.next)
    assert await stores.feed.end() == first.next
    assert await stores.feed.waiting_seconds() is None


async def test_each_change_is_told_once_with_what_it_changed(stores: Stores) -> None:
    teacher = caller()
    record = await make_class(stores, teacher)
    new = new_student("Åsa", "Öberg", "asa@school.example", [record.id])
    await stores.classes.create_students([NewStudentRequest(teacher, new)])
    await stores.classes.update_student(
        teacher, new.id, StudentChange(name=person("Åsa", "Ek"), remove_class_ids=(record.id,))
    )
    await stores.classes.delete_class(teacher, record.id)
    found = await told(stores)
    assert [(one.change.entity, one.change.kind) for one in found] == [
        (Entity.CLASS, CREATED),
        (Entity.STUDENT, CREATED),
        (Entity.ENROLLMENT, CREATED),
        (Entity.STUDENT, UPDATED),
        (Entity.ENROLLMENT, DELETED),
        (Entity.CLASS, DELETED),
    ]
    assert [one.sequence for one in found] == [*range(1, 7)]
    assert {one.change.by for one in found} == {teacher.user_id}
    created, left, deleted = found[1], found[4], found[5]
    assert data_of(created)["email"] == "asa@school.example"
    assert data_of(left) == {"class_id": record.id}
    assert data_of(deleted)["name"] == record.name
    assert (found[3].change.before or {})["last_name"] == "Öberg"
    assert data_of(found[3])["last_name"] == "Ek"


async def test_an_association_is_told_as_it_is_and_then_what_was_decided(
    make_stores: MakeStores,
) -> None:
    stores = await make_stores(Policy(auto_confirm=0.95))
    batch = await make_batch(stores, 0.99, 0.9)
    end = (await page(stores)).next
    human = HumanDecision(batch.essays[1], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [human])
    made = {one.change.id: data_of(one) for one in await told(stores) if one.current}
    by_itself, by_human = (made[essay] for essay in batch.essays)
    student = batch.room.students[0]
    assert by_itself == {
        "batch_id": batch.id,
        "class_id": batch.room.id,
        "suggested_student_id": student,
        "confidence_score": 0.99,
        "student_id": student,
        "validation_status": "confirmed",
        "validation_method": "auto",
        "validated_by": SYSTEM_AUTO,
    }
    assert by_human["validation_status"] == "confirmed"
    [decided] = await told(stores, after=end)
    assert decided.change.kind is UPDATED
    assert data_of(decided)["validation_method"] == "human"


async def test_each_owner_is_told_its_own_changes_only(stores: Stores) -> None:
    teachers = [caller(f"teacher {number}") for number in range(3)]
    for _ in range(3):
        for teacher in teachers:
            await make_class(stores, teacher)
    for teacher in teachers:
        found = await told(stores, teacher.user_id, limit=2)
        assert [one.change.owner_id for one in found] == [teacher.user_id] * 3
        assert found == sorted(found, key=lambda one: one.sequence)
    assert len(await told(stores)) == 9
    assert await told(stores, "nobody") == []


async def test_at_the_end_one_goes_on_behind_what_others_changed(stores: Stores) -> None:
    teacher, other = caller(), caller("another")
    await make_class(stores, teacher)
    first = await page(stores, owner=teacher.user_id)
    await make_class(stores, other)
    second = await page(stores, first.next, teacher.user_id)
    assert second.changes == []
    assert second.next == await stores.feed.end()
    record = await make_class(stores, teacher)
    third = await page(stores, second.next, teacher.user_id)
    assert [one.change.id for one in third.changes] == [record.id]


async def test_a_position_of_another_epoch_or_before_or_behind_all_is_refused(
    stores: Stores,
) -> None:
    await make_class(stores, caller())
    end = (await page(stores)).next
    for wrong in (
        Position(new_id(), end.sequence),
        Position(end.epoch, end.sequence + 1),
        Position(end.epoch, -1),
    ):
        with pytest.raises(ResyncRequiredError):
            await stores.feed.changes(FeedQuery(1, None, wrong))


async def folded(
    opening: AbstractAsyncContextManager[Stores], done: Sequence[Step]
) -> list[Remembered]:
    """Do all this and read it along the way; what is told is what is remembered, in its order."""
    async with opening as stores:
        position, found = None, list[ToldChange]()
        for step in [*FIRST, *done]:
            await step.do(stores)
            if step.flag:
                piece = await told(stores, after=position)
                found += piece
                position = (await page(stores, position)).next
        found += await told(stores, after=position)
        await check_told(stores.past, found)
        remembered = [as_read(one.change) for one in found]
        world = await stores.past.world()
        others = {key: one for key, one in world.items() if key[0] is not Entity.ASSOCIATION}
        kept = [one for one in remembered if one.entity is not Entity.ASSOCIATION]
        assert past.replayed(kept) == others
        assert _associations(found) == {
            key[1]: members for key, (_, members) in world.items() if key[0] is Entity.ASSOCIATION
        }
        return remembered


def _associations(found: Sequence[ToldChange]) -> dict[UUID, dict[str, Any]]:
    """Return what a consumer knows of associations that takes every `data` over what it knows."""
    known: dict[UUID, dict[str, Any]] = {}
    for one in found:
        if one.change.entity is Entity.ASSOCIATION:
            data = past.as_json(data_of(one)) or {}
            known[one.change.id] = {**known.get(one.change.id, {}), **data}
    return {
        essay: {n: v for n, v in members.items() if v is not None and n in past.ASSOCIATION_MEMBERS}
        for essay, members in known.items()
    }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(done=st.lists(steps, min_size=5, max_size=20), auto=st.sampled_from([None, 0.95]))
def test_whatever_is_done_what_is_told_becomes_what_there_is(
    migrated_database: str, done: list[Step], auto: float | None
) -> None:
    policy = Policy(auto_confirm=auto)
    in_memory = asyncio.run(folded(memory_stores(policy), done))
    on_disk = asyncio.run(folded(postgres_stores(migrated_database, policy), done))
    assert len(in_memory) == len(on_disk)


async def test_nothing_is_told_where_nothing_is_remembered(migrated_database: str) -> None:
    for opening in (
        memory_stores(Policy(), changes=False),
        postgres_stores(migrated_database, Policy(), changes=False),
    ):
        async with opening as stores:
            await make_batch(stores, 0.9)
            assert await told(stores) == []


# --- histories -----------------------------------------------------------------------------------


async def test_the_history_of_a_class_says_who_did_what_and_when(stores: Stores) -> None:
    teacher = caller()
    record = await make_class(stores, teacher)
    renaming = Caller(teacher.user_id, Trace(UUID(int=5)))
    await stores.classes.update_class(renaming, record.id, ClassChange(name="9B"))
    await stores.classes.delete_class(teacher, record.id)
    found = await stores.feed.class_history(teacher.user_id, record.id, None, 10)
    assert [one.change.kind for one in found.changes] == [CREATED, UPDATED, DELETED]
    assert found.next is None
    renamed = found.changes[1].change
    assert (renamed.by, renamed.correlation_id) == (teacher.user_id, UUID(int=5))
    assert ((renamed.before or {})["name"], (renamed.after or {})["name"]) == (record.name, "9B")
    assert [one.at for one in found.changes] == sorted(one.at for one in found.changes)


async def test_the_history_of_a_student_has_its_classes_and_is_read_in_pages(
    stores: Stores,
) -> None:
    room = await make_classroom(stores, 2)
    student = room.students[0]
    await stores.classes.delete_class(room.teacher, room.id)
    await stores.classes.delete_student(room.teacher, student)
    found, after = list[tuple[Entity, ChangeKind]](), None
    while True:
        piece = await stores.feed.student_history(room.teacher.user_id, student, after, 1)
        found += [(one.change.entity, one.change.kind) for one in piece.changes]
        after = piece.next
        if after is None:
            break
    assert found == [
        (Entity.STUDENT, CREATED),
        (Entity.ENROLLMENT, CREATED),
        (Entity.ENROLLMENT, DELETED),
        (Entity.STUDENT, DELETED),
    ]


async def test_what_another_has_or_nobody_has_no_history(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    other = caller("another").user_id
    for owner, class_id, student_id in [
        (other, room.id, room.students[0]),
        (room.teacher.user_id, new_id(), new_id()),
        # A class is no student, nor the other way round.
        (room.teacher.user_id, room.students[0], room.id),
    ]:
        with pytest.raises(ClassNotFoundError):
            await stores.feed.class_history(owner, class_id, None, 10)
        with pytest.raises(StudentNotFoundError):
            await stores.feed.student_history(owner, student_id, None, 10)


async def test_what_is_there_has_a_history_also_where_nothing_of_it_is_kept(
    open_memory: Stores,
) -> None:
    stores = open_memory
    room = await make_classroom(stores, 1)
    await stores.elapse(40 * A_DAY)
    await stores.maintenance.turn_over_changes(30 * A_DAY)
    owner = room.teacher.user_id
    assert (await stores.feed.class_history(owner, room.id, None, 10)).changes == []
    assert (await stores.feed.student_history(owner, room.students[0], None, 10)).changes == []


async def test_what_is_forgotten_is_told_nobody_and_old_positions_are_refused(
    open_memory: Stores,
) -> None:
    stores = open_memory
    beginning = (await page(stores)).next
    await make_class(stores, caller())
    await stores.elapse(20 * A_DAY)
    record = await make_class(stores, caller())
    middle = (await page(stores)).next
    await stores.elapse(15 * A_DAY)
    await stores.maintenance.turn_over_changes(30 * A_DAY)
    assert [(one.sequence, one.change.id) for one in await told(stores)] == [(2, record.id)]
    assert (await page(stores, middle)).changes == []
    with pytest.raises(ResyncRequiredError):
        await page(stores, beginning)


@pytest.fixture
async def open_memory() -> Any:  # noqa: ANN401  # what a generator of a fixture is
    """Open a store in memory: PostgreSQL drops whole weeks (tests/integration/postgres)."""
    async with memory_stores(Policy()) as stores:
        yield stores
