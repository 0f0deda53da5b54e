"""Imports: planned, applied class by class, left out where something moved, and what they leave."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from rules import topics
from rules.changes import NewClassRequest
from rules.conditions import Condition
from rules.errors import (
    ClassNotFoundError,
    ImportConflictError,
    ImportNotFoundError,
    PreconditionFailedError,
    StudentNotFoundError,
    TooLargeChangeError,
    ValidationFailedError,
)
from rules.ids import new_id
from rules.imports.applying import ENDED_KEPT, LeftOut
from rules.imports.files import CellError
from rules.imports.plans import (
    ImportState,
    Marked,
    Mode,
    Notice,
    NoticeCode,
    PlannedRow,
    RowEntity,
)
from rules.models import (
    ClassChange,
    ClassRecord,
    EmailChange,
    ExternalIdChange,
    NewClass,
    NewStudent,
    StudentChange,
)
from store.protocols.imports import ApplyOptions, ImportQuery, NewImport, RowQuery
from tests.integration.store.builders import (
    Stores,
    by_topic,
    caller,
    deliver,
    make_class,
    make_classroom,
    make_student,
    new_student,
    person,
    result,
    store_one,
    suggest,
)
from tests.support.imports import (
    CREATED,
    DELETED,
    ERROR,
    JOINED,
    LEFT,
    UNCHANGED,
    UPDATED,
    all_rows,
    applied,
    begun,
    class_row,
    finished,
    name,
    only,
    plan_of,
    planned,
    row,
)

TEACHER = caller()
OTHER = caller("teacher-2")


# --- what plans are made of --------------------------------------------------------------------


async def test_the_state_has_all_of_an_owner_and_nobody_elses(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    alone = await make_student(stores, TEACHER, new_student(email="a@b.example"))
    await make_classroom(stores, 1, OTHER)
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.classes.keys() == {room.id}
    assert state.students.keys() == {*room.students, alone.id}
    cls = state.classes[room.id]
    assert cls.member_ids == set(room.students)
    assert (cls.name, cls.course_code, cls.version) == ("9A", "SV1", 1)
    assert cls.marked is None
    assert cls.mark is None
    student = state.students[alone.id]
    assert (student.name, student.email) == (alone.name, alone.email)
    assert (student.class_ids, student.mark, student.decided) == (frozenset(), None, False)


async def test_the_state_for_a_class_needs_that_class(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    state = await stores.imports.roster_state("teacher-1", room.id)
    assert state.students.keys() == set(room.students)
    for owner, class_id in (("teacher-2", room.id), ("teacher-1", new_id())):
        with pytest.raises(ClassNotFoundError):
            await stores.imports.roster_state(owner, class_id)


async def test_the_state_knows_for_whom_an_essay_is_decided(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    await store_one(stores, deliver(room.id, result(suggest(room.students[0]))))
    before = await stores.imports.roster_state("teacher-1", None)
    assert not any(one.decided for one in before.students.values())
    await stores.elapse(timedelta(hours=25))
    await decide_all(stores)
    state = await stores.imports.roster_state("teacher-1", None)
    assert {i: s.decided for i, s in state.students.items()} == {
        room.students[0]: True,
        room.students[1]: False,
    }


async def decide_all(stores: Stores) -> None:
    """Have the clock decide what is due."""
    await stores.timers.decide_due(await stores.timers.overdue(100, 0))


# --- plans -------------------------------------------------------------------------------------


async def test_a_plan_is_kept_for_a_day_and_changes_nothing(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    new = row(CREATED, room.id, new_id(), **name("Ada", "Ek"))
    record = await planned(stores.imports, TEACHER, new, large=[room.id])
    assert record.state is ImportState.PLANNED
    assert record.expires_at - record.created_at == timedelta(hours=24)
    assert (record.progress, record.version, record.is_large) == (0, 1, True)
    assert record.summary.created == 1
    assert await stores.imports.get_import("teacher-1", record.id) == record
    assert await stores.published() == []
    assert not await stores.imports.apply_next()


async def test_rows_come_in_pages_as_they_were_planned(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    first, second = room.students
    rows = [
        replace(row(CREATED, room.id, new_id(), **name("Ada", "Ek")), line=2, file="users.csv"),
        replace(
            row(UPDATED, room.id, first, email=None),
            before={"email": "s0@b.example"},
            notices=(
                Notice(NoticeCode.NEAR_DUPLICATE, "Much like another.", second),
                Notice(NoticeCode.NAME_SPLIT, "A guess.", other_line=7),
            ),
        ),
        replace(
            row(ERROR, room.id), line=4, errors=(CellError("email", "text", "This is no address."),)
        ),
        row(UNCHANGED, room.id, second),
    ]
    record = await planned(stores.imports, TEACHER, *rows)
    found = await all_rows(stores.imports, "teacher-1", record.id)
    assert [one.row for one in found] == rows
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert not any(one.left_out for one in found)
    faulty = await all_rows(stores.imports, "teacher-1", record.id, ERROR)
    assert [(one.number, one.row) for one in faulty] == [(3, rows[2])]


async def test_rows_of_a_kind_or_with_notices_are_found_behind_any_other(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    first, second = room.students
    notice = Notice(NoticeCode.NEAR_DUPLICATE, "Much like another.", second)
    rows = [
        class_row(UPDATED, room.id, name="9B"),
        replace(row(UPDATED, room.id, first, email=None), notices=(notice,)),
        row(UNCHANGED, room.id, second),
        replace(row(UNCHANGED, room.id, first), notices=(notice, notice)),
    ]
    record = await planned(stores.imports, TEACHER, *rows)

    async def numbers(query: RowQuery) -> list[int]:
        page = await stores.imports.import_rows("teacher-1", record.id, query)
        return [one.number for one in page.rows]

    assert await numbers(RowQuery(10, noticed=True)) == [2, 4]
    assert await numbers(RowQuery(10, noticed=True, after=2)) == [4]
    assert await numbers(RowQuery(10, UNCHANGED, noticed=True)) == [4]
    assert await numbers(RowQuery(10, UPDATED)) == [1, 2]
    assert await numbers(RowQuery(10, UPDATED, entity=RowEntity.CLASS)) == [1]
    assert await numbers(RowQuery(10, entity=RowEntity.STUDENT)) == [2, 3, 4]


async def test_imports_are_listed_newest_first(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    made = []
    for _ in range(3):
        made.append(await planned(stores.imports, TEACHER, row(UNCHANGED, room.id)))
        await stores.elapse(timedelta(minutes=1))
    await planned(stores.imports, OTHER)
    first = await stores.imports.list_imports("teacher-1", ImportQuery(2))
    assert [one.id for one in first.imports] == [made[2].id, made[1].id]
    assert first.more
    last = first.imports[-1]
    query = ImportQuery(2, (last.created_at, last.id))
    rest = await stores.imports.list_imports("teacher-1", query)
    assert [one.id for one in rest.imports] == [made[0].id]
    assert not rest.more


async def test_anothers_import_is_none(stores: Stores) -> None:
    record = await planned(stores.imports, TEACHER)
    for import_id, who in ((record.id, OTHER), (new_id(), TEACHER)):
        with pytest.raises(ImportNotFoundError):
            await stores.imports.get_import(who.user_id, import_id)
        with pytest.raises(ImportNotFoundError):
            await stores.imports.import_rows(who.user_id, import_id, RowQuery(10))
        with pytest.raises(ImportNotFoundError):
            await stores.imports.applied_rows(who.user_id, import_id)
        with pytest.raises(ImportNotFoundError):
            await stores.imports.apply_import(who, import_id, ApplyOptions(), only(record))


async def test_what_an_import_undoes_is_told(stores: Stores) -> None:
    state = await stores.imports.roster_state("teacher-1", None)
    undone, class_id = new_id(), new_id()
    new = NewImport(new_id(), Mode.SYNC, plan_of(state, []), class_id, undone, "9a.csv")
    record = await stores.imports.add_import(TEACHER, new)
    assert (record.mode, record.class_id) == (Mode.SYNC, class_id)
    assert (record.undoes, record.filename) == (undone, "9a.csv")


# --- applying ----------------------------------------------------------------------------------


async def test_applying_creates_updates_joins_and_takes_out(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    stays, renamed, leaves = room.students
    joins = await make_student(stores, TEACHER, new_student("Bo", "Berg", "bo@b.example"))
    await stores.published()
    created = new_id()
    ada = {**name("Ada", "Ek"), "email": "ada@b.example", "external_id": "p-1"}
    record = await planned(
        stores.imports,
        TEACHER,
        row(CREATED, room.id, created, **ada),
        row(UNCHANGED, room.id, stays),
        row(UPDATED, room.id, renamed, **name("Eva", "Dahl"), external_id="p-2"),
        row(JOINED, room.id, joins.id),
        row(LEFT, room.id, leaves),
        mode=Mode.SYNC,
    )
    begun_at = await begun(stores.imports, TEACHER, record)
    assert begun_at.state is ImportState.APPLYING
    assert await stores.published() == []
    assert await stores.imports.apply_next()
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.progress, done.left_out) == (ImportState.APPLIED, 1, ())

    new = await stores.classes.get_student("teacher-1", created)
    assert (new.name, new.email, new.external_id) == (person("Ada", "Ek"), "ada@b.example", "p-1")
    assert new.class_ids == (room.id,)
    other = await stores.classes.get_student("teacher-1", renamed)
    assert (other.name, other.external_id) == (person("Eva", "Dahl"), "p-2")
    assert (other.version, other.class_ids) == (2, (room.id,))
    assert (await stores.classes.get_student("teacher-1", joins.id)).class_ids == (room.id,)
    assert (await stores.classes.get_student("teacher-1", leaves)).class_ids == ()
    assert (await stores.classes.get_student("teacher-1", stays)).version == 1

    told = by_topic(await stores.published())
    [made] = told[topics.STUDENT_CREATED]
    assert (made.data["student_id"], made.data["class_ids"]) == (str(created), [str(room.id)])
    changed = {one.data["student_id"]: one.data for one in told[topics.STUDENT_UPDATED]}
    assert changed.keys() == {str(one) for one in (renamed, joins.id, leaves)}
    assert changed[str(joins.id)]["add_class_ids"] == [str(room.id)]
    assert changed[str(leaves)]["remove_class_ids"] == [str(room.id)]
    assert changed[str(renamed)]["first_name"] == "Eva"
    added = {one.data["payload"]["student_id"] for one in told[topics.NOTIFICATION_REQUESTED]}
    assert added == {str(created), str(joins.id)}
    trace = {one.headers["correlation_id"] for group in told.values() for one in group}
    assert trace == {str(TEACHER.trace.correlation_id)}


async def test_a_new_class_is_created_with_its_students(stores: Stores) -> None:
    class_id, student_id = new_id(), new_id()
    await applied(
        stores.imports,
        TEACHER,
        class_row(CREATED, class_id, name="7B", course_code="ENG5", external_id="c-7"),
        row(CREATED, class_id, student_id, **name("Ada", "")),
    )
    found = await stores.imports.roster_state("teacher-1", class_id)
    cls = found.classes[class_id]
    assert (cls.name, cls.course_code, cls.external_id) == ("7B", "ENG5", "c-7")
    assert cls.member_ids == {student_id}
    told = by_topic(await stores.published())
    assert [one.key for one in told[topics.CLASS_CREATED]] == [str(class_id)]
    assert [one.key for one in told[topics.STUDENT_CREATED]] == [str(student_id)]


async def test_a_class_is_changed(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    await applied(
        stores.imports, TEACHER, class_row(UPDATED, room.id, name="9B", external_id="c-9")
    )
    cls = (await stores.imports.roster_state("teacher-1", None)).classes[room.id]
    assert (cls.name, cls.course_code, cls.external_id) == ("9B", "SV1", "c-9")
    assert [one.topic for one in await stores.published()] == [topics.CLASS_UPDATED]


async def test_who_is_created_for_one_class_joins_the_others(stores: Stores) -> None:
    first, second = await make_class(stores, TEACHER), await make_class(stores, TEACHER)
    student_id = new_id()
    done = await applied(
        stores.imports,
        TEACHER,
        row(CREATED, first.id, student_id, **name("Ada", "Ek")),
        row(JOINED, second.id, student_id),
    )
    assert done.left_out == ()
    student = await stores.classes.get_student("teacher-1", student_id)
    assert student.class_ids == tuple(sorted([first.id, second.id]))


async def test_a_student_of_no_class_is_created(stores: Stores) -> None:
    student_id = new_id()
    done = await applied(
        stores.imports, TEACHER, row(CREATED, None, student_id, **name("Ada", "Ek"))
    )
    assert done.state is ImportState.APPLIED
    assert (await stores.classes.get_student("teacher-1", student_id)).class_ids == ()


async def test_rows_with_errors_and_unchanged_ones_do_nothing(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    await applied(stores.imports, TEACHER, row(UNCHANGED, room.id, room.students[0]))
    assert await stores.published() == []
    student = await stores.classes.get_student("teacher-1", room.students[0])
    assert student.version == 1


async def test_a_plan_without_classes_is_applied_at_once(stores: Stores) -> None:
    done = await applied(stores.imports, TEACHER)
    assert (done.state, done.progress) == (ImportState.APPLIED, 1)


async def test_who_leaves_is_no_suggestion_any_more(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    batch = await store_one(stores, deliver(room.id, result(suggest(room.students[0]))))
    assert batch
    await applied(stores.imports, TEACHER, row(LEFT, room.id, room.students[0]), mode=Mode.SYNC)
    state = await stores.past.world()
    suggested = [
        members.get("suggested_student_id")
        for (entity, _, _), (_, members) in state.items()
        if entity.value == "association"
    ]
    assert suggested == [None]


@pytest.mark.parametrize("what", ["email", "external_id"])
async def test_two_students_exchange_what_only_one_may_have(stores: Stores, what: str) -> None:
    room = await make_classroom(stores, 2)
    first, second = room.students
    for one, value in ((first, "a@b.example"), (second, "c@d.example")):
        change = StudentChange(email=EmailChange(value), external_id=ExternalIdChange(value))
        await stores.classes.update_student(TEACHER, one, change)
    done = await applied(
        stores.imports,
        TEACHER,
        row(UPDATED, room.id, first, **{what: "c@d.example"}),
        row(UPDATED, room.id, second, **{what: "a@b.example"}),
    )
    assert done.left_out == ()
    found = [await stores.classes.get_student("teacher-1", one) for one in room.students]
    assert [getattr(one, what) for one in found] == ["c@d.example", "a@b.example"]


async def test_a_new_student_takes_the_address_that_another_gives_up(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    [old], new = room.students, new_id()
    address = f"S0.{room.id}@School.example"
    done = await applied(
        stores.imports,
        TEACHER,
        row(CREATED, room.id, new, **name("Ada", "Ek"), email=address),
        row(UPDATED, room.id, old, email="other@b.example"),
    )
    assert done.left_out == ()
    assert (await stores.classes.get_student("teacher-1", new)).email == address
    found = await stores.classes.get_student("teacher-1", old)
    assert found.email == "other@b.example"


async def test_an_undo_deletes_whom_an_import_made(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    gone, decided = room.students
    await store_one(stores, deliver(room.id, result(suggest(decided)), result(suggest(gone))))
    await store_one(stores, deliver(room.id, result(suggest(decided))))
    await stores.elapse(timedelta(hours=25))
    elsewhere = await make_class(stores, TEACHER)
    busy = await make_student(stores, TEACHER, new_student(class_ids=[room.id, elsewhere.id]))
    await stores.published()
    await applied(
        stores.imports,
        TEACHER,
        row(DELETED, room.id, gone),
        row(DELETED, room.id, busy.id),
        mode=Mode.SYNC,
    )
    with pytest.raises(StudentNotFoundError):
        await stores.classes.get_student("teacher-1", gone)
    kept = await stores.classes.get_student("teacher-1", busy.id)
    assert kept.class_ids == (elsewhere.id,)
    told = by_topic(await stores.published())
    assert [one.key for one in told[topics.STUDENT_DELETED]] == [str(gone)]
    assert [one.key for one in told[topics.STUDENT_UPDATED]] == [str(busy.id)]


async def test_an_undo_only_takes_out_for_whom_an_essay_is_decided(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    [student] = room.students
    await store_one(stores, deliver(room.id, result(suggest(student))))
    await stores.elapse(timedelta(hours=25))
    await decide_all(stores)
    await applied(stores.imports, TEACHER, row(DELETED, room.id, student))
    assert (await stores.classes.get_student("teacher-1", student)).class_ids == ()


async def test_a_row_may_tell_of_a_student_who_was_gone_when_it_was_planned(
    stores: Stores,
) -> None:
    room = await make_classroom(stores, 1)
    done = await applied(
        stores.imports,
        TEACHER,
        row(DELETED, room.id, room.students[0]),
        row(UNCHANGED, room.id, new_id()),
    )
    assert (done.state, done.left_out) == (ImportState.APPLIED, ())
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.students == {}
    assert state.classes[room.id].marked == frozenset()


# --- when it may not be applied ----------------------------------------------------------------


async def test_a_plan_is_applied_once(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    record = await planned(stores.imports, TEACHER, row(UNCHANGED, room.id, room.students[0]))
    going = await begun(stores.imports, TEACHER, record)
    with pytest.raises(PreconditionFailedError):
        await begun(stores.imports, TEACHER, record)
    with pytest.raises(ImportConflictError):
        await begun(stores.imports, TEACHER, going)
    done = await finished(stores.imports, TEACHER, record)
    with pytest.raises(ImportConflictError):
        await begun(stores.imports, TEACHER, done)
    assert not await stores.imports.apply_next()


async def test_a_plan_of_another_tag_is_not_applied(stores: Stores) -> None:
    record = await planned(stores.imports, TEACHER)
    condition = Condition(frozenset({"another"}))
    with pytest.raises(PreconditionFailedError):
        await stores.imports.apply_import(TEACHER, record.id, ApplyOptions(), condition)


async def test_a_plan_expires_with_its_rows(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    record = await planned(stores.imports, TEACHER, row(UNCHANGED, room.id, room.students[0]))
    await stores.elapse(timedelta(hours=24))
    seen = await stores.imports.get_import("teacher-1", record.id)
    assert seen.state is ImportState.EXPIRED
    with pytest.raises(ImportConflictError):
        await begun(stores.imports, TEACHER, seen)
    assert await stores.imports.expire_imports() == 1
    assert await stores.imports.expire_imports() == 0
    seen = await stores.imports.get_import("teacher-1", record.id)
    assert (seen.state, seen.version) == (ImportState.EXPIRED, 2)
    assert await all_rows(stores.imports, "teacher-1", record.id) == []
    await stores.elapse(ENDED_KEPT)
    await stores.imports.expire_imports()
    with pytest.raises(ImportNotFoundError):
        await stores.imports.get_import("teacher-1", record.id)


async def test_what_was_applied_can_be_undone_for_thirty_days(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    rows = [row(UNCHANGED, room.id, room.students[0])]
    record = await planned(stores.imports, TEACHER, *rows)
    with pytest.raises(ImportConflictError):
        await stores.imports.applied_rows("teacher-1", record.id)
    await begun(stores.imports, TEACHER, record)
    with pytest.raises(ImportConflictError):
        await stores.imports.applied_rows("teacher-1", record.id)
    await finished(stores.imports, TEACHER, record)
    await stores.elapse(ENDED_KEPT - timedelta(minutes=1))
    await stores.imports.expire_imports()
    assert await stores.imports.applied_rows("teacher-1", record.id) == rows
    await stores.elapse(timedelta(minutes=1))
    assert await stores.imports.expire_imports() == 0
    with pytest.raises(ImportNotFoundError):
        await stores.imports.applied_rows("teacher-1", record.id)


async def test_a_large_change_needs_to_be_meant(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    leaving = row(LEFT, room.id, room.students[0])
    record = await planned(stores.imports, TEACHER, leaving, large=[room.id])
    with pytest.raises(TooLargeChangeError):
        await begun(stores.imports, TEACHER, record)
    assert (await begun(stores.imports, TEACHER, record, force=True)).state is ImportState.APPLYING


async def test_classes_with_errors_are_left_out_when_that_is_meant(stores: Stores) -> None:
    room, faulty = await make_classroom(stores, 1), await make_classroom(stores, 1)
    rows = [
        row(CREATED, room.id, new_id(), **name("Ada", "Ek")),
        row(CREATED, faulty.id, new_id(), **name("Bo", "Ek")),
        row(ERROR, faulty.id),
    ]
    record = await planned(stores.imports, TEACHER, *rows, large=[faulty.id], faulty=[faulty.id])
    with pytest.raises(ValidationFailedError):
        await begun(stores.imports, TEACHER, record)
    going = await begun(stores.imports, TEACHER, record, skip_errors=True)
    assert going.left_out == (faulty.id,)
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.left_out) == (ImportState.APPLIED, (faulty.id,))
    found = await all_rows(stores.imports, "teacher-1", record.id)
    assert [one.left_out for one in found] == [False, True, True]
    assert await stores.imports.applied_rows("teacher-1", record.id) == rows[:1]


async def test_an_import_of_which_all_is_left_out_has_failed(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    record = await planned(stores.imports, TEACHER, row(ERROR, room.id), faulty=[room.id])
    await begun(stores.imports, TEACHER, record, skip_errors=True)
    done = await finished(stores.imports, TEACHER, record)
    assert done.state is ImportState.FAILED
    with pytest.raises(ImportConflictError):
        await stores.imports.applied_rows("teacher-1", record.id)


# --- when something moves ----------------------------------------------------------------------

MOVES = ["renamed", "joined", "left", "student deleted", "class deleted", "class renamed"]


async def move(stores: Stores, room: ClassRecord, student_id: UUID, how: str) -> None:
    """Change what a plan rests on."""
    classes = stores.classes
    if how == "renamed":
        await classes.update_student(TEACHER, student_id, StudentChange(person("Ny", "Namn")))
    elif how == "joined":
        await make_student(stores, TEACHER, new_student(class_ids=[room.id]))
    elif how == "left":
        change = StudentChange(remove_class_ids=(room.id,))
        await classes.update_student(TEACHER, student_id, change)
    elif how == "student deleted":
        await classes.delete_student(TEACHER, student_id)
    elif how == "class deleted":
        await classes.delete_class(TEACHER, room.id)
    else:
        await classes.update_class(TEACHER, room.id, ClassChange("Ny"))


@pytest.mark.parametrize("how", MOVES)
async def test_a_plan_whose_ground_has_moved_is_refused(stores: Stores, how: str) -> None:
    room = await make_classroom(stores, 2)
    record = await planned(
        stores.imports, TEACHER, row(UPDATED, room.id, room.students[0], **name("Eva", "Dahl"))
    )
    await move(stores, room.record, room.students[0], how)
    with pytest.raises(PreconditionFailedError):
        await begun(stores.imports, TEACHER, record)


@pytest.mark.parametrize("how", MOVES)
async def test_a_class_that_moves_then_is_left_out_alone(stores: Stores, how: str) -> None:
    room, other = await make_classroom(stores, 2), await make_classroom(stores, 1)
    ada, bo = new_id(), new_id()
    record = await planned(
        stores.imports,
        TEACHER,
        row(UPDATED, room.id, room.students[0], **name("Eva", "Dahl")),
        row(CREATED, room.id, ada, **name("Ada", "Ek")),
        row(CREATED, other.id, bo, **name("Bo", "Ek")),
    )
    await begun(stores.imports, TEACHER, record)
    await move(stores, room.record, room.students[0], how)
    await stores.published()
    first = await stores.imports.step()
    assert first is not None
    assert (first.left_out, first.applied) == (LeftOut.MOVED, False)
    assert await stores.published() == []
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.left_out) == (ImportState.APPLIED, (room.id,))
    with pytest.raises(StudentNotFoundError):
        await stores.classes.get_student("teacher-1", ada)
    assert (await stores.classes.get_student("teacher-1", bo)).class_ids == (other.id,)
    found = await all_rows(stores.imports, "teacher-1", record.id)
    assert [one.left_out for one in found] == [True, True, False]
    undone = await stores.imports.applied_rows("teacher-1", record.id)
    assert [one.student_id for one in undone] == [bo]


async def test_what_a_plan_does_not_touch_may_move(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    touched, other = room.students
    record = await planned(
        stores.imports, TEACHER, row(UPDATED, room.id, touched, **name("Eva", "Dahl"))
    )
    await stores.classes.update_student(TEACHER, other, StudentChange(person("Ny", "Namn")))
    elsewhere = await make_class(stores, TEACHER)
    await stores.classes.update_student(
        TEACHER, touched, StudentChange(add_class_ids=(elsewhere.id,))
    )
    await begun(stores.imports, TEACHER, record)
    assert (await finished(stores.imports, TEACHER, record)).left_out == ()


async def test_an_update_in_one_class_moves_nothing_in_another(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    other = await make_class(stores, TEACHER)
    [student] = room.students
    done = await applied(
        stores.imports,
        TEACHER,
        row(UPDATED, room.id, student, **name("Eva", "Dahl")),
        row(JOINED, other.id, student),
    )
    assert done.left_out == ()
    found = await stores.classes.get_student("teacher-1", student)
    assert (found.name.first_name, len(found.class_ids)) == ("Eva", 2)


async def test_who_was_to_be_created_in_a_class_left_out_is_created_in_the_next(
    stores: Stores,
) -> None:
    room, other = await make_classroom(stores, 2), await make_class(stores, TEACHER)
    student_id, values = new_id(), {**name("Ada", "Ek"), "email": "ada@b.example"}
    record = await planned(
        stores.imports,
        TEACHER,
        row(CREATED, room.id, student_id, **values),
        row(JOINED, other.id, student_id),
    )
    await begun(stores.imports, TEACHER, record)
    await move(stores, room.record, room.students[0], "left")
    done = await finished(stores.imports, TEACHER, record)
    assert done.left_out == (room.id,)
    student = await stores.classes.get_student("teacher-1", student_id)
    assert (student.email, student.class_ids) == ("ada@b.example", (other.id,))
    [undone] = await stores.imports.applied_rows("teacher-1", record.id)
    assert (undone.kind, undone.class_id, undone.after) == (CREATED, other.id, values)


def called(student: NewStudent, external_id: str) -> NewStudent:
    return replace(student, external_id=external_id)


@pytest.mark.parametrize("what", ["email", "external_id"])
@pytest.mark.parametrize("kind", [CREATED, UPDATED])
async def test_a_value_that_somebody_else_has_by_now_leaves_the_class_out(
    stores: Stores, what: str, kind: object
) -> None:
    room, other = await make_classroom(stores, 1), await make_classroom(stores, 1)
    values = {what: "a@b.example"}
    change = (
        row(CREATED, room.id, new_id(), **name("Ada", "Ek"), **values)
        if kind is CREATED
        else row(UPDATED, room.id, room.students[0], **values)
    )
    record = await planned(
        stores.imports, TEACHER, change, row(UPDATED, other.id, other.students[0], **name("E", "D"))
    )
    await begun(stores.imports, TEACHER, record)
    bo = new_student("Bo", "Berg")
    taken = replace(bo, email="a@b.example") if what == "email" else called(bo, "a@b.example")
    await make_student(stores, TEACHER, taken)
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.left_out) == (ImportState.APPLIED, (room.id,))
    kept = await stores.classes.get_student("teacher-1", room.students[0])
    assert (kept.version, kept.email) == (1, f"s0.{room.id}@school.example")


async def test_a_new_class_whose_external_id_is_taken_is_left_out(stores: Stores) -> None:
    class_id = new_id()
    record = await planned(
        stores.imports,
        TEACHER,
        class_row(CREATED, class_id, name="7B", course_code="SV1", external_id="c-7"),
        row(CREATED, class_id, new_id(), **name("Ada", "Ek")),
    )
    await begun(stores.imports, TEACHER, record)
    taken = NewClass(new_id(), "7C", "SV1", "c-7")
    await stores.classes.create_classes([NewClassRequest(TEACHER, taken)])
    done = await finished(stores.imports, TEACHER, record)
    assert (done.state, done.left_out) == (ImportState.FAILED, (class_id,))
    assert (await stores.imports.roster_state("teacher-1", None)).students == {}


async def test_imports_are_applied_in_turns(stores: Stores) -> None:
    rooms = [await make_classroom(stores, 1) for _ in range(4)]
    records = []
    for pair in (rooms[:2], rooms[2:]):
        rows = [row(UPDATED, room.id, room.students[0], **name("Eva", "D")) for room in pair]
        records.append(await planned(stores.imports, TEACHER, *rows))
    for record in records:
        await begun(stores.imports, TEACHER, record)
    steps = [await stores.imports.step() for _ in range(4)]
    assert [one and one.record.id for one in steps] == [one.id for one in records] * 2
    assert [one and one.record.progress for one in steps] == [0.5, 0.5, 1, 1]
    assert await stores.imports.step() is None


async def test_many_workers_share_what_is_to_be_applied(stores: Stores) -> None:
    rooms = [await make_classroom(stores, 1) for _ in range(6)]
    for room in rooms:
        new = [row(CREATED, room.id, new_id(), **name("Ada", "Ek"))]
        record = await planned(stores.imports, TEACHER, *new)
        await begun(stores.imports, TEACHER, record)

    async def worker() -> None:
        idle = 0
        while idle < 3:
            idle = 0 if await stores.imports.apply_next() else idle + 1
            await asyncio.sleep(0.01)

    await asyncio.gather(*(worker() for _ in range(3)))
    state = await stores.imports.roster_state("teacher-1", None)
    assert {len(one.member_ids) for one in state.classes.values()} == {2}
    made = by_topic(await stores.published())[topics.STUDENT_CREATED]
    assert len(made) == len(rooms)


# --- what an import leaves ---------------------------------------------------------------------


async def test_what_an_import_leaves_is_known_next_time(stores: Stores) -> None:
    room = await make_classroom(stores, 3)
    named, typed, leaves = room.students
    created = new_id()
    await applied(
        stores.imports,
        TEACHER,
        row(UPDATED, room.id, named, **name("Eva", "Dahl"), email="eva@b.example"),
        row(CREATED, room.id, created, **name("Ada", "Ek")),
        row(LEFT, room.id, leaves),
    )
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.students[named].mark == Marked(person("Eva", "Dahl"), "eva@b.example", None)
    assert state.students[created].mark == Marked(person("Ada", "Ek"), None, None)
    assert state.students[typed].mark is None
    assert state.classes[room.id].marked == frozenset({named, typed, created})

    late = await make_student(stores, TEACHER, new_student(class_ids=[room.id]))
    await applied(stores.imports, TEACHER, row(UNCHANGED, room.id, named))
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.classes[room.id].marked == frozenset({named, typed, created})
    assert late.id in state.classes[room.id].member_ids


async def test_what_is_kept_by_hand_stays_unlike_what_the_last_import_left(
    stores: Stores,
) -> None:
    room, other = await make_classroom(stores, 1), await make_class(stores, TEACHER)
    [student] = room.students
    left = Marked(person("Eva", "Dahl"), f"s0.{room.id}@school.example", None)
    await applied(stores.imports, TEACHER, row(UPDATED, room.id, student, **name("Eva", "Dahl")))
    await stores.classes.update_student(TEACHER, student, StudentChange(person("Eve", "Dahl")))
    kept = Notice(NoticeCode.KEPT_BY_HAND, "Somebody changed it.")
    await applied(
        stores.imports,
        TEACHER,
        replace(row(UPDATED, room.id, student, external_id="p-1"), notices=(kept,)),
        row(JOINED, other.id, student),
    )
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.students[student].mark == replace(left, external_id="p-1")
    await applied(stores.imports, TEACHER, row(UNCHANGED, room.id, student))
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.students[student].mark == replace(
        left, name=person("Eve", "Dahl"), external_id="p-1"
    )


async def test_marks_go_with_their_students_and_classes(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    first, second = room.students
    await applied(stores.imports, TEACHER, row(UPDATED, room.id, first, **name("Eva", "Dahl")))
    await stores.classes.merge_students(TEACHER, first, second)
    state = await stores.imports.roster_state("teacher-1", None)
    mark = state.students[second].mark
    assert mark is not None
    assert mark.name == person("Eva", "Dahl")
    assert state.classes[room.id].marked == frozenset({second})
    await stores.classes.delete_student(TEACHER, second)
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.classes[room.id].marked == frozenset()
    await stores.classes.delete_class(TEACHER, room.id)
    again = NewClass(room.id, "9A", "SV1")
    await stores.classes.create_classes([NewClassRequest(TEACHER, again)])
    student = NewStudent(second, person("Eva", "Dahl"), None, (room.id,))
    await make_student(stores, TEACHER, student)
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.classes[room.id].marked is None
    assert state.students[second].mark is None


async def test_the_name_of_a_class_that_an_import_leaves_is_known(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    await applied(stores.imports, TEACHER, class_row(UPDATED, room.id, external_id="c-9"))
    cls = (await stores.imports.roster_state("teacher-1", None)).classes[room.id]
    assert cls.mark is not None
    assert (cls.mark.name, cls.mark.external_id) == ("9A", "c-9")
    await stores.classes.update_class(TEACHER, room.id, ClassChange("9B"))
    kept = PlannedRow(
        UNCHANGED,
        RowEntity.CLASS,
        class_id=room.id,
        notices=(Notice(NoticeCode.KEPT_BY_HAND, "Somebody changed it."),),
    )
    await applied(stores.imports, TEACHER, kept)
    cls = (await stores.imports.roster_state("teacher-1", None)).classes[room.id]
    assert (cls.name, cls.mark and cls.mark.name) == ("9B", "9A")


async def test_the_unknown_student_is_no_member_and_not_touched(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    await store_one(stores, deliver(room.id, result()))
    await stores.elapse(timedelta(hours=25))
    await decide_all(stores)
    state = await stores.imports.roster_state("teacher-1", None)
    assert state.students.keys() == set(room.students)
    assert state.classes[room.id].member_ids == set(room.students)
    done = await applied(stores.imports, TEACHER, row(LEFT, room.id, room.students[0]))
    assert done.left_out == ()
