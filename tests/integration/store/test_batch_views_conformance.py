"""What teachers see of their batches, and what services ask about them: on every store."""

from datetime import timedelta
from uuid import UUID

import pytest

from rules.batches import BatchPage, BatchPlace, BatchQuery, BatchState, Page, Place
from rules.errors import BatchNotFoundError, EssayNotFoundError
from rules.ids import new_id
from rules.models import AssociationView, HumanDecision, StudentChange
from tests.integration.store.builders import (
    A_DAY,
    SOON,
    Classroom,
    StoredBatch,
    Stores,
    caller,
    deliver,
    make_batch,
    make_classroom,
    person,
    result,
    store_one,
    suggest,
)

# --- an essay ------------------------------------------------------------------------------------


async def shown(stores: Stores, room: Classroom, batch_id: UUID) -> dict[UUID, AssociationView]:
    view = await stores.associations.get_batch(room.teacher.user_id, batch_id)
    return {one.association.essay_id: one for one in view.associations}


def named(view: AssociationView) -> list[tuple[str, float, tuple[str, ...]]]:
    return [
        (view.names[s.student_id], s.confidence, s.match_reasons)
        for s in view.association.suggestions
    ]


async def test_an_essay_is_shown_with_its_file_and_all_suggestions(stores: Stores) -> None:
    room = await make_classroom(stores)
    outsider = (await make_classroom(stores, 1)).students[0]
    first, second, third = room.students
    found = result(
        suggest(outsider, 1.0),
        suggest(second, 0.9, ["name_exact", "Åsa"]),
        suggest(first, 0.4, []),
        filename="Elevtext 1.docx",
    )
    alone = result(suggest(third, 0.7))
    nobody = result(filename="x" * 300)
    delivery = deliver(room.id, found, alone, nobody)
    await store_one(stores, delivery)
    views = await shown(stores, room, delivery.message.batch_id)
    view = views[found.essay_id]
    assert view.association.filename == "Elevtext 1.docx"
    assert view.association.suggested_student_id == second
    assert named(view) == [
        ("First1 Last1", 0.9, ("name_exact", "Åsa")),
        ("First0 Last0", 0.4, ()),
    ]
    assert named(views[alone.essay_id]) == [("First2 Last2", 0.7, ("name_exact",))]
    assert views[alone.essay_id].association.filename is None
    assert named(views[nobody.essay_id]) == []
    assert views[nobody.essay_id].association.filename == "x" * 255


async def test_what_is_too_much_is_cut(stores: Stores) -> None:
    room = await make_classroom(stores, 12)
    reasons = ["å" * 300] * 30
    found = result(*(suggest(student, 0.5, reasons) for student in room.students))
    delivery = deliver(room.id, found)
    await store_one(stores, delivery)
    [view] = (await shown(stores, room, delivery.message.batch_id)).values()
    assert view.association.match_reasons == ("å" * 200,) * 20
    assert [s.student_id for s in view.association.suggestions] == room.students[:10]
    assert {s.match_reasons for s in view.association.suggestions} == {("å" * 200,) * 20}


async def test_reasons_are_kept_as_they_came(stores: Stores) -> None:
    room = await make_classroom(stores)
    reasons = (
        'a"b',
        "c\\d",
        "{e,f}",
        "",
        " g ",
        "NULL",
        "null",
        "\n",
        "\\n",
        '"',
        "\\",
        "å\u2028",
        "'",
    )
    found = result(suggest(room.students[0], 0.5, reasons), suggest(room.students[1], 0.4, []))
    delivery = deliver(room.id, found, result(suggest(room.students[1], 0.4, [])))
    await store_one(stores, delivery)
    views = await shown(stores, room, delivery.message.batch_id)
    view = views[found.essay_id]
    assert view.association.match_reasons == reasons
    assert [s.match_reasons for s in view.association.suggestions] == [reasons, ()]


async def test_names_are_current_and_who_is_gone_is_left_out(stores: Stores) -> None:
    room = await make_classroom(stores, 4)
    renamed, deleted, left, kept = room.students
    found = result(*(suggest(student) for student in room.students))
    delivery = deliver(room.id, found)
    await store_one(stores, delivery)
    classes = stores.classes
    change = StudentChange(name=person("Ny", "Namn"))
    await classes.update_student(room.teacher, renamed, change)
    await classes.delete_student(room.teacher, deleted)
    leaves = StudentChange(remove_class_ids=(room.id,))
    await classes.update_student(room.teacher, left, leaves)
    [view] = (await shown(stores, room, delivery.message.batch_id)).values()
    assert [name for name, _, _ in named(view)] == ["Ny Namn", "First3 Last3"]
    assert [s.student_id for s in view.association.suggestions] == [renamed, kept]


async def test_suggestions_stay_when_an_essay_is_decided(stores: Stores) -> None:
    room = await make_classroom(stores)
    found = result(suggest(room.students[0]), suggest(room.students[1], 0.2))
    delivery = deliver(room.id, found)
    batch_id = delivery.message.batch_id
    await store_one(stores, delivery)
    before = named((await shown(stores, room, batch_id))[found.essay_id])
    decision = HumanDecision(found.essay_id, confirmed=False)
    await stores.associations.confirm(room.teacher, batch_id, [decision])
    assert named((await shown(stores, room, batch_id))[found.essay_id]) == before
    assert len(before) == 2


async def test_one_essay_is_shown_as_in_its_batch(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.5, None)
    owner = batch.room.teacher.user_id
    views = await shown(stores, batch.room, batch.id)
    for essay_id in batch.essays:
        one = await stores.associations.get_association(owner, batch.id, essay_id)
        assert one.association == views[essay_id].association
        assert (one.student_name, named(one)) == (
            views[essay_id].student_name,
            named(views[essay_id]),
        )


async def test_an_essay_is_found_in_its_own_batch_and_by_its_teacher_alone(stores: Stores) -> None:
    batch, other = [await make_batch(stores, 0.9) for _ in range(2)]
    owner = batch.room.teacher.user_id
    get = stores.associations.get_association
    for essay_id in (new_id(), other.essays[0]):
        with pytest.raises(EssayNotFoundError) as missing:
            await get(owner, batch.id, essay_id)
        assert missing.value.detail == "This batch has no such essay."
    for user, batch_id in (("intruder", batch.id), (owner, new_id())):
        with pytest.raises(BatchNotFoundError):
            await get(user, batch_id, batch.essays[0])


# --- a batch -------------------------------------------------------------------------------------


async def test_associations_come_in_pages(stores: Stores) -> None:
    batch = await make_batch(stores, *[0.9] * 5)
    owner = batch.room.teacher.user_id
    whole = await stores.associations.get_batch(owner, batch.id)
    assert not whole.more
    after: Place | None = None
    sizes: list[tuple[int, bool]] = []
    found: list[AssociationView] = []
    for _ in range(3):
        page = await stores.associations.get_batch(owner, batch.id, Page(2, after))
        assert (page.confirm_by, page.closed_at) == (whole.confirm_by, None)
        found += page.associations
        sizes.append((len(page.associations), page.more))
        last = found[-1].association
        after = Place(last.created_at, last.essay_id)
    assert sizes == [(2, True), (2, True), (1, False)]
    assert [one.association for one in found] == [one.association for one in whole.associations]
    behind = await stores.associations.get_batch(owner, batch.id, Page(None, after))
    assert (behind.associations, behind.more) == ((), False)
    assert behind.confirm_by == whole.confirm_by


async def test_a_batch_says_when_it_closed_and_what_time_it_is(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9)
    owner = batch.room.teacher.user_id
    before = await stores.associations.get_batch(owner, batch.id)
    assert before.closed_at is None
    decision = HumanDecision(batch.essays[0], confirmed=True)
    await stores.associations.confirm(batch.room.teacher, batch.id, [decision])
    after = await stores.associations.get_batch(owner, batch.id)
    assert after.closed_at is not None
    assert before.now <= after.closed_at <= after.now


# --- a teacher's list ----------------------------------------------------------------------------


async def close(stores: Stores, batch: StoredBatch) -> None:
    decisions = [HumanDecision(essay, confirmed=False) for essay in batch.essays]
    await stores.associations.confirm(batch.room.teacher, batch.id, decisions)
    await stores.published()


async def listed(stores: Stores, query: BatchQuery, owner: str = "teacher-1") -> BatchPage:
    return await stores.associations.list_batches(owner, query)


def ids(page: BatchPage) -> list[UUID]:
    return [batch.batch_id for batch in page.batches]


async def test_what_waits_comes_first_soonest_and_then_what_closed_last(stores: Stores) -> None:
    room = await make_classroom(stores)
    batches = []
    for _ in range(5):
        batches.append(await make_batch(stores, 0.9, None, 0.5, room=room))
        await stores.elapse(SOON)
    for batch in (batches[3], batches[1]):
        await close(stores, batch)
        await stores.elapse(SOON)
    decided = HumanDecision(batches[0].essays[0], confirmed=True)
    await stores.associations.confirm(room.teacher, batches[0].id, [decided])
    page = await listed(stores, BatchQuery(10))
    assert ids(page) == [batches[i].id for i in (0, 2, 4, 1, 3)]
    assert not page.more
    first, second, _, latest, _ = page.batches
    assert (first.total, first.pending, first.unmatched) == (3, 2, 1)
    assert (second.total, second.pending, second.unmatched) == (3, 3, 1)
    assert (latest.total, latest.pending, latest.unmatched) == (3, 0, 0)
    assert [(one.certain, one.uncertain) for one in (first, second, latest)] == [
        (0, 1),
        (1, 1),
        (0, 0),
    ]
    assert (latest.confirm_by, latest.state) == (None, BatchState.CLOSED)
    assert latest.closed_at is not None
    assert first.state is BatchState.PENDING
    assert first.confirm_by is not None
    assert first.confirm_by - first.created_at == A_DAY
    assert first.created_at <= page.now - 5 * SOON
    assert {(b.class_id, b.class_name, b.course_code) for b in page.batches} == {
        (room.id, "9A", "SV1")
    }


async def test_a_list_is_of_the_states_and_the_class_asked_for(stores: Stores) -> None:
    rooms = [await make_classroom(stores) for _ in range(2)]
    waiting = [await make_batch(stores, 0.9, room=room) for room in rooms]
    closed = [await make_batch(stores, 0.9, room=room) for room in rooms]
    for batch in closed:
        await close(stores, batch)
    everything = {batch.id for batch in (*waiting, *closed)}
    assert set(ids(await listed(stores, BatchQuery(10)))) == everything
    for state, batches in ((BatchState.PENDING, waiting), (BatchState.CLOSED, closed)):
        states = frozenset({state})
        page = await listed(stores, BatchQuery(10, states=states))
        assert set(ids(page)) == {batch.id for batch in batches}
        page = await listed(stores, BatchQuery(10, states=states, class_id=rooms[1].id))
        assert ids(page) == [batches[1].id]
    assert ids(await listed(stores, BatchQuery(10, class_id=new_id()))) == []


async def test_a_list_has_the_owners_batches_alone(stores: Stores) -> None:
    other = caller("other")
    mine = await make_batch(stores, 0.9)
    theirs = await make_batch(stores, 0.9, room=await make_classroom(stores, teacher=other))
    gone = await make_batch(stores, 0.9)
    await close(stores, gone)
    await stores.classes.delete_class(gone.room.teacher, gone.room.id)
    assert ids(await listed(stores, BatchQuery(10))) == [mine.id]
    assert ids(await listed(stores, BatchQuery(10), "other")) == [theirs.id]
    assert ids(await listed(stores, BatchQuery(10, class_id=mine.room.id), "other")) == []
    nothing = await listed(stores, BatchQuery(10), "nobody")
    assert (nothing.batches, nothing.more) == ((), False)
    assert abs(nothing.now - (await listed(stores, BatchQuery(1))).now) < timedelta(minutes=1)


async def all_pages(stores: Stores, limit: int) -> list[UUID]:
    found: list[UUID] = []
    after: BatchPlace | None = None
    while True:
        page = await listed(stores, BatchQuery(limit, after))
        found += ids(page)
        assert len(page.batches) <= limit
        if not page.more:
            return found
        after = page.batches[-1].place


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_together_are_the_list(stores: Stores, limit: int) -> None:
    room = await make_classroom(stores)
    same_time = [await make_batch(stores, 0.9, room=room) for _ in range(3)]
    await stores.elapse(SOON)
    for batch in [await make_batch(stores, 0.9, room=room) for _ in range(4)]:
        await close(stores, batch)
    whole = ids(await listed(stores, BatchQuery(100)))
    assert set(whole[:3]) == {batch.id for batch in same_time}
    assert await all_pages(stores, limit) == whole


async def test_a_batch_that_closes_while_somebody_pages_is_met(stores: Stores) -> None:
    room = await make_classroom(stores)
    waiting = []
    for _ in range(6):
        waiting.append(await make_batch(stores, 0.9, room=room))
        await stores.elapse(timedelta(minutes=1))
    closed = await make_batch(stores, 0.9, room=room)
    await close(stores, closed)
    found: list[UUID] = []
    after: BatchPlace | None = None
    # One that was seen, one that was not, the last pending one, and one while closed ones are read.
    closes = {2: waiting[0], 3: waiting[5], 4: waiting[2], 6: waiting[4]}
    for number in range(1, 30):
        page = await listed(stores, BatchQuery(1, after))
        found += ids(page)
        if not page.more:
            break
        after = page.batches[-1].place
        if number in closes:
            await close(stores, closes[number])
        if number < 5:
            await make_batch(stores, 0.9, room=room)
    assert set(found) >= {batch.id for batch in (*waiting, closed)}
    steady = [waiting[1].id, waiting[3].id, closed.id]
    assert [found.count(batch_id) for batch_id in steady] == [1, 1, 1]


# --- for other services --------------------------------------------------------------------------


async def test_services_learn_how_far_batches_are(stores: Stores) -> None:
    batch = await make_batch(stores, 0.9, 0.8, None, 0.3)
    closed = await make_batch(stores, 0.9)
    orphan = await make_batch(stores, 0.9)
    await close(stores, closed)
    decisions = [
        HumanDecision(batch.essays[0], confirmed=True),
        HumanDecision(batch.essays[1], confirmed=False),
    ]
    await stores.associations.confirm(batch.room.teacher, batch.id, decisions)
    asked = [batch.id, closed.id, new_id(), orphan.id]
    found = await stores.queries.validation_status(asked)
    assert found.keys() == {batch.id, closed.id, orphan.id}
    view = await stores.associations.get_batch(batch.room.teacher.user_id, batch.id)
    open_one, done = found[batch.id], found[closed.id]
    assert (open_one.batch_id, open_one.total) == (batch.id, 4)
    assert (open_one.pending, open_one.confirmed) == (2, 1)
    assert open_one.confirm_by == view.confirm_by
    assert (done.pending, done.confirm_by, done.total, done.confirmed) == (0, None, 1, 0)
    await stores.elapse(A_DAY)
    await stores.timers.decide_due([batch.id])
    assert (await stores.queries.validation_status([batch.id]))[batch.id].confirmed == 3
    assert await stores.queries.validation_status([]) == {}
