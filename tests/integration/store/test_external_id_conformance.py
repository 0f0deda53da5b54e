"""External ids are an owner's only once, in both stores and in every operation."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.class_pages import ClassQuery
from rules.commands.results import CommandStatus
from rules.documents import class_detail_json
from rules.errors import (
    EmailConflictError,
    ExternalIdConflictError,
    IdempotencyConflictError,
    ServiceError,
    ValidationFailedError,
)
from rules.events.envelopes import to_json
from rules.history import ChangeKind, Entity
from rules.limits import MAX_CLASSES
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    EmailChange,
    ExternalIdChange,
    NewStudent,
    Policy,
    StudentChange,
    StudentRecord,
)
from rules.search import StudentQuery
from tests.integration.store.builders import (
    Stores,
    by_topic,
    caller,
    make_class,
    make_student,
    new_class,
    new_student,
)
from tests.support.commands import deliver, student
from tests.support.stores import memory_stores, postgres_stores

TEACHER: Final = caller()
OTHER: Final = caller("teacher-2")
APPLIED, DUPLICATE, REJECTED = CommandStatus
EMOJI: Final = "\N{GRINNING FACE}"
LONGEST: Final = EMOJI * 255
#: Each is another id: they mean nothing here.
ALL_DIFFERENT: Final = [
    *("4711", "04711", "4711.0", "a-1", "A-1", "å", "a\u030a", "straße", "STRASSE"),
    *('"', "\\", "\u2028", "null", "a b", "a  b", LONGEST, "\ufb01", "fi"),
]

Made: TypeAlias = StudentRecord | ServiceError
MadeClass: TypeAlias = ClassRecord | ServiceError


def called(external_id: str | None, **given: Any) -> NewStudent:  # noqa: ANN401
    return replace(new_student(**given), external_id=external_id)


async def create(
    stores: Stores,
    external_id: str | None,
    who: Caller = TEACHER,
    **given: Any,  # noqa: ANN401
) -> Made:
    [made] = await stores.classes.create_students(
        [NewStudentRequest(who, called(external_id, **given))]
    )
    return made


async def pupil(stores: Stores, external_id: str | None, **given: Any) -> StudentRecord:  # noqa: ANN401
    return await make_student(stores, TEACHER, called(external_id, **given))


async def create_class(
    stores: Stores, external_id: str | None, who: Caller = TEACHER, class_id: UUID | None = None
) -> MadeClass:
    new = replace(new_class(class_id=class_id), external_id=external_id)
    [made] = await stores.classes.create_classes([NewClassRequest(who, new)])
    return made


async def change(stores: Stores, record: StudentRecord, external_id: str | None) -> Made:
    wanted = StudentChange(external_id=ExternalIdChange(external_id))
    try:
        return await stores.classes.update_student(TEACHER, record.id, wanted)
    except ServiceError as refusal:
        return refusal


async def change_class(stores: Stores, record: ClassRecord, external_id: str | None) -> MadeClass:
    wanted = ClassChange(external_id=ExternalIdChange(external_id))
    try:
        return (await stores.classes.update_class(TEACHER, record.id, wanted)).record
    except ServiceError as refusal:
        return refusal


async def get(stores: Stores, student_id: UUID) -> StudentRecord:
    return await stores.classes.get_student(TEACHER.user_id, student_id)


async def found(stores: Stores, external_id: str, **given: Any) -> list[UUID]:  # noqa: ANN401
    query = StudentQuery(9, external_id=external_id, **given)
    page = await stores.classes.find_students(TEACHER.user_id, query)
    return [one.id for one in page.students]


async def found_classes(stores: Stores, external_id: str) -> list[UUID]:
    query = ClassQuery(9, external_id=external_id)
    page = await stores.classes.list_classes(TEACHER.user_id, query)
    return [one.id for one in page.classes]


def check_conflict(made: object, *, student_id: UUID | None = None, class_id: UUID | None) -> None:
    assert isinstance(made, ExternalIdConflictError)
    assert (made.student_id, made.class_id) == (student_id, class_id)


def check_taken(made: object, holder: StudentRecord | ClassRecord) -> None:
    """Check that something was refused because of what has the external id."""
    if isinstance(holder, StudentRecord):
        check_conflict(made, student_id=holder.id, class_id=None)
    else:
        check_conflict(made, class_id=holder.id)


# --- as it was given ---------------------------------------------------------------------------


async def test_each_text_is_another_id_and_comes_back_as_it_was_given(stores: Stores) -> None:
    for external_id in ALL_DIFFERENT:
        one, room = await create(stores, external_id), await create_class(stores, external_id)
        assert isinstance(one, StudentRecord)
        assert isinstance(room, ClassRecord)
        assert (await get(stores, one.id)).external_id == one.external_id == external_id
        assert room.external_id == external_id
        assert await found(stores, external_id) == [one.id]
        assert await found_classes(stores, external_id) == [room.id]


async def test_documents_have_it_byte_for_byte(stores: Stores) -> None:
    for external_id in [*ALL_DIFFERENT, None]:
        room = await create_class(stores, external_id)
        assert isinstance(room, ClassRecord)
        await pupil(stores, external_id, class_ids=[room.id])
        document = await stores.classes.class_document(TEACHER.user_id, room.id)
        detail = await stores.rosters.get_class(TEACHER.user_id, room.id)
        assert document == to_json(class_detail_json(detail))
        read = orjson.loads(document)
        assert [read["external_id"], read["students"][0]["external_id"]] == [external_id] * 2


# --- once for each owner -----------------------------------------------------------------------


async def test_a_taken_one_is_refused_and_names_who_has_it(stores: Stores) -> None:
    holder, other = await pupil(stores, "4711"), await pupil(stores, "4712")
    bare = await pupil(stores, None)
    await stores.published()
    for made in (
        await create(stores, "4711"),
        await change(stores, other, "4711"),
        await change(stores, bare, "4711"),
    ):
        check_taken(made, holder)
    assert await get(stores, other.id) == other
    assert await stores.published() == []


async def test_so_it_is_with_classes(stores: Stores) -> None:
    holder, other = await create_class(stores, "9A"), await create_class(stores, "9B")
    bare = await create_class(stores, None)
    assert isinstance(holder, ClassRecord)
    assert isinstance(other, ClassRecord)
    assert isinstance(bare, ClassRecord)
    await stores.published()
    for made in (
        await create_class(stores, "9A"),
        await change_class(stores, other, "9A"),
        await change_class(stores, bare, "9A"),
    ):
        check_taken(made, holder)
    assert await found_classes(stores, "9B") == [other.id]
    assert await stores.published() == []


async def test_students_classes_and_owners_do_not_get_in_each_others_way(stores: Stores) -> None:
    made = [
        await create(stores, "1"),
        await create_class(stores, "1"),
        await create(stores, "1", OTHER),
        await create_class(stores, "1", OTHER),
    ]
    assert not any(isinstance(one, ServiceError) for one in made)
    mine, my_class = made[0], made[1]
    assert isinstance(mine, StudentRecord)
    assert isinstance(my_class, ClassRecord)
    assert await found(stores, "1") == [mine.id]
    assert await found_classes(stores, "1") == [my_class.id]


async def test_nothing_is_no_id_that_could_be_taken(stores: Stores) -> None:
    for _ in range(2):
        assert isinstance(await create(stores, None), StudentRecord)
        assert isinstance(await create_class(stores, None), ClassRecord)


async def test_one_that_is_given_up_is_free(stores: Stores) -> None:
    first = await pupil(stores, "1")
    cleared = await change(stores, first, None)
    assert isinstance(cleared, StudentRecord)
    assert (cleared.external_id, cleared.version) == (None, 2)
    second = await pupil(stores, "1")
    await stores.classes.delete_student(TEACHER, second.id)
    assert isinstance(await change(stores, first, "1"), StudentRecord)
    room = await create_class(stores, "1")
    assert isinstance(room, ClassRecord)
    await stores.classes.delete_class(TEACHER, room.id)
    assert isinstance(await create_class(stores, "1"), ClassRecord)


async def test_an_own_one_again_changes_nothing(stores: Stores) -> None:
    one, room = await pupil(stores, "1"), await create_class(stores, "1")
    assert isinstance(room, ClassRecord)
    await stores.published()
    assert await change(stores, one, "1") == one
    assert await change_class(stores, room, "1") == room
    assert await stores.published() == []


async def test_a_change_of_something_else_keeps_it(stores: Stores) -> None:
    one, room = await pupil(stores, "1"), await create_class(stores, "1")
    assert isinstance(room, ClassRecord)
    wanted = StudentChange(email=EmailChange("a@b.example"), add_class_ids=(room.id,))
    changed = await stores.classes.update_student(TEACHER, one.id, wanted)
    assert (changed.external_id, changed.email) == ("1", "a@b.example")
    renamed = await stores.classes.update_class(TEACHER, room.id, ClassChange(name="9B"))
    assert (renamed.record.external_id, renamed.record.name) == ("1", "9B")


async def test_two_may_exchange_theirs_by_way_of_nothing(stores: Stores) -> None:
    first, second = await pupil(stores, "1"), await pupil(stores, "2")
    for record, external_id in ((first, None), (second, "1"), (first, "2")):
        assert isinstance(await change(stores, record, external_id), StudentRecord)
    assert [await found(stores, one) for one in "12"] == [[second.id], [first.id]]


async def test_of_many_at_once_only_those_that_are_taken_are_refused(stores: Stores) -> None:
    holder = await pupil(stores, "0")
    ids = ["0", "1", "2", "1", None, "3", None, "2"]
    # The addresses sort the other way: the first in the list gets an id, not the first by address.
    wanted = [called(one, email=f"{9 - n}@b.example") for n, one in enumerate(ids)]
    made = await stores.classes.create_students([NewStudentRequest(TEACHER, one) for one in wanted])
    assert [type(one) for one in made] == [
        *(ExternalIdConflictError, StudentRecord, StudentRecord, ExternalIdConflictError),
        *(StudentRecord, StudentRecord, StudentRecord, ExternalIdConflictError),
    ]
    ways = [one.student_id for one in made if isinstance(one, ServiceError)]
    assert ways == [holder.id, wanted[1].id, wanted[2].id]


async def test_of_many_classes_at_once_only_those_that_are_taken_are_refused(
    stores: Stores,
) -> None:
    ids = ["2", "1", "2", None, "1", None]
    wanted = [replace(new_class(), external_id=one) for one in ids]
    made = await stores.classes.create_classes([NewClassRequest(TEACHER, one) for one in wanted])
    assert [isinstance(one, ClassRecord) for one in made] == [True, True, False, True, False, True]
    ways = [one.class_id for one in made if isinstance(one, ServiceError)]
    assert ways == [wanted[0].id, wanted[1].id]
    published = by_topic(await stores.published())
    assert len(published[topics.CLASS_CREATED]) == 4


async def test_who_was_refused_for_something_else_takes_no_id(stores: Stores) -> None:
    await make_student(stores, TEACHER, new_student(email="a@b.example"))
    wanted = [called("1", email="a@b.example"), called("1", email="c@d.example")]
    made = await stores.classes.create_students([NewStudentRequest(TEACHER, one) for one in wanted])
    assert [type(one) for one in made] == [EmailConflictError, StudentRecord]


async def test_one_at_the_same_moment_goes_to_one(stores: Stores) -> None:
    others = [await pupil(stores, None) for _ in range(3)]
    done: list[object] = await asyncio.gather(
        *(create(stores, "1") for _ in range(3)), *(change(stores, one, "1") for one in others)
    )
    assert Counter(type(one) for one in done) == {StudentRecord: 1, ExternalIdConflictError: 5}
    rooms = [await make_class(stores, TEACHER) for _ in range(3)]
    done = await asyncio.gather(
        *(create_class(stores, "1") for _ in range(3)),
        *(change_class(stores, one, "1") for one in rooms),
    )
    assert Counter(type(one) for one in done) == {ClassRecord: 1, ExternalIdConflictError: 5}


async def test_a_class_again_is_the_same_with_the_same_external_id_only(stores: Stores) -> None:
    room = await create_class(stores, "9A")
    assert isinstance(room, ClassRecord)
    assert await create_class(stores, "9A", class_id=room.id) == room
    for other in (None, "9B"):
        refused = await create_class(stores, other, class_id=room.id)
        assert isinstance(refused, IdempotencyConflictError)


# --- merging -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "into", "becomes"),
    [(None, None, None), ("1", None, "1"), (None, "2", "2"), ("1", "2", "2")],
)
async def test_of_two_that_become_one(
    stores: Stores, gone: str | None, into: str | None, becomes: str | None
) -> None:
    first, second = await pupil(stores, gone), await pupil(stores, into)
    await stores.published()
    merged = await stores.classes.merge_students(TEACHER, first.id, second.id)
    assert merged.external_id == (await get(stores, second.id)).external_id == becomes
    published = by_topic(await stores.published())
    assert published[topics.STUDENT_UPDATED][0].data["external_id"] == becomes
    assert published[topics.STUDENT_DELETED][0].data["external_id"] == gone
    for external_id in {"1", "2"} - {becomes}:
        assert isinstance(await create(stores, external_id), StudentRecord)


# --- what is told ------------------------------------------------------------------------------


async def test_all_six_events_have_it(stores: Stores) -> None:
    room = await create_class(stores, "9A")
    assert isinstance(room, ClassRecord)
    one = await pupil(stores, "1")
    await change_class(stores, room, "9B")
    await change(stores, one, "2")
    await stores.classes.delete_class(TEACHER, room.id)
    await stores.classes.delete_student(TEACHER, one.id)
    told = [p for p in await stores.published() if p.topic != topics.NOTIFICATION_REQUESTED]
    assert [(p.data["event"], p.data["external_id"]) for p in told if p.key == str(room.id)] == [
        ("class.created", "9A"),
        ("class.updated", "9B"),
        ("class.deleted", "9B"),
    ]
    assert [(p.data["event"], p.data["external_id"]) for p in told if p.key == str(one.id)] == [
        ("student.created", "1"),
        ("student.updated", "2"),
        ("student.deleted", "2"),
    ]


async def test_what_is_deleted_is_remembered_with_it(stores: Stores) -> None:
    room = await create_class(stores, "9A")
    assert isinstance(room, ClassRecord)
    one = await pupil(stores, "1")
    await change(stores, one, None)
    await change(stores, one, "2")
    await stores.classes.delete_class(TEACHER, room.id)
    await stores.classes.delete_student(TEACHER, one.id)
    changes = await stores.past.changes()
    told = [
        (c.kind, (c.before or {}).get("external_id"), (c.after or {}).get("external_id"))
        for c in changes
        if c.entity is Entity.STUDENT
    ]
    assert told == [
        (ChangeKind.CREATED, None, "1"),
        (ChangeKind.UPDATED, "1", None),
        (ChangeKind.UPDATED, None, "2"),
        (ChangeKind.DELETED, "2", None),
    ]
    [gone] = [c for c in changes if c.entity is Entity.CLASS and c.kind is ChangeKind.DELETED]
    assert (gone.before or {})["external_id"] == "9A"


# --- commands ----------------------------------------------------------------------------------


async def apply(stores: Stores, command: str, who: str = TEACHER.user_id, **given: Any) -> Any:  # noqa: ANN401
    [result] = await stores.commands.apply_commands([deliver(command, who, **given)])
    return result


async def test_commands_set_keep_and_clear_it(stores: Stores) -> None:
    made = await apply(
        stores, "class.create", name="9A", course_codes=["SV1"], external_id=" 9A\ufeff"
    )
    [class_id] = made.entity_ids
    assert await found_classes(stores, "9A") == [class_id]
    for members, expected in (({"name": "9B"}, "9A"), ({"external_id": "x"}, "x")):
        await apply(stores, "class.update", class_id=class_id, **members)
        assert await found_classes(stores, expected) == [class_id]
    await apply(stores, "class.update", class_id=class_id, external_id="")
    assert await found_classes(stores, "x") == []
    made = await apply(stores, "student.create", **student(), external_id="1")
    [student_id] = made.entity_ids
    changes: list[tuple[dict[str, Any], str | None]] = [
        ({"email": "a@b.example"}, "1"),
        ({"external_id": "2"}, "2"),
        ({"external_id": None}, None),
    ]
    for changed, told in changes:
        await apply(stores, "student.update", student_id=student_id, **changed)
        assert (await get(stores, student_id)).external_id == told


async def test_commands_are_told_what_is_in_the_way(stores: Stores) -> None:
    room = await create_class(stores, "9A")
    assert isinstance(room, ClassRecord)
    other = await make_class(stores, TEACHER)
    holder, bare = await pupil(stores, "1", first="Eva"), await pupil(stores, None)
    await stores.published()
    create: dict[str, Any] = {"name": "9A", "course_codes": ["SV1"], "external_id": "9A"}
    results = [
        await apply(stores, "class.create", **create),
        await apply(stores, "class.update", class_id=other.id, external_id="9A"),
        await apply(stores, "student.create", **student(), external_id="1"),
        await apply(stores, "student.update", student_id=bare.id, external_id="1"),
    ]
    conflict = REJECTED, "EXTERNAL_ID_CONFLICT"
    assert [(r.status, r.error_code) for r in results] == [conflict] * 4
    assert [(r.class_id, r.student_id) for r in results] == [
        *[(room.id, None)] * 2,
        *[(None, holder.id)] * 2,
    ]
    told = [one.data for one in await stores.published()]
    assert Counter((one["class_id"], one["student_id"]) for one in told) == Counter(
        [*[(str(room.id), None)] * 2, *[(None, str(holder.id))] * 2]
    )


async def test_a_roster_is_told_of_each_row(stores: Stores) -> None:
    room = await make_class(stores, TEACHER)
    holder = await pupil(stores, "1", first="Eva")
    rows = [
        student() | {"external_id": one} for one in ("0", "1", "2", "2" + "\x00", "x" * 256, "")
    ]
    rows.append(student(first="Bo") | {"external_id": "2"})
    result = await apply(stores, "roster.register", class_id=room.id, students=rows)
    assert (result.status, result.error_code) == (REJECTED, "VALIDATION_ERROR")
    assert [(e.pointer, e.student_id) for e in result.errors] == [
        ("/students/1/external_id", holder.id),
        ("/students/3/external_id", None),
        ("/students/4/external_id", None),
        ("/students/6/external_id", None),
    ]
    assert await found(stores, "0") == []


# --- who is there already joins ----------------------------------------------------------------


async def register(stores: Stores, class_id: UUID, *rows: dict[str, Any]) -> Any:  # noqa: ANN401
    return await apply(stores, "roster.register", class_id=class_id, students=list(rows))


@pytest.mark.parametrize("email", [None, "new@b.example", "taken@b.example"])
async def test_an_external_id_with_the_same_name_joins_and_keeps_its_address(
    stores: Stores, email: str | None
) -> None:
    await make_student(stores, TEACHER, new_student(email="taken@b.example"))
    one = await pupil(stores, "1", email="old@b.example")
    room = await make_class(stores, TEACHER)
    result = await register(stores, room.id, student(email) | {"external_id": "1"})
    assert (result.status, result.entity_ids) == (APPLIED, (one.id,))
    joined = await get(stores, one.id)
    assert (joined.email, joined.class_ids) == (one.email, (room.id,))


async def test_another_name_is_a_conflict(stores: Stores) -> None:
    one = await pupil(stores, "1", first="Eva", email="a@b.example")
    same_name = await make_student(stores, TEACHER, new_student(email="c@d.example"))
    room = await make_class(stores, TEACHER)
    result = await register(stores, room.id, student("c@d.example") | {"external_id": "1"})
    assert (result.status, result.error_code) == (REJECTED, "EXTERNAL_ID_CONFLICT")
    assert [(e.pointer, e.student_id) for e in result.errors] == [
        ("/students/0/external_id", one.id)
    ]
    assert await get(stores, same_name.id) == same_name


async def test_the_given_id_comes_before_the_external_id(stores: Stores) -> None:
    one, other = await pupil(stores, None), await pupil(stores, "1")
    room = await make_class(stores, TEACHER)
    row = student(None, one.id) | {"external_id": "1"}
    result = await register(stores, room.id, row)
    assert (result.status, result.entity_ids) == (APPLIED, (one.id,))
    # It would take the external id, but another has it.
    assert [(await get(stores, i)).external_id for i in (one.id, other.id)] == [None, "1"]


async def test_who_has_none_takes_the_one_that_comes_along(stores: Stores) -> None:
    by_id = await pupil(stores, None)
    by_email = await make_student(stores, TEACHER, new_student(email="a@b.example"))
    room = await make_class(stores, TEACHER)
    await stores.published()
    rows = [
        student(None, by_id.id) | {"external_id": "1"},
        student("A@b.example") | {"external_id": "2"},
    ]
    result = await register(stores, room.id, *rows)
    assert (result.status, result.entity_ids) == (APPLIED, (by_id.id, by_email.id))
    records = [await get(stores, i) for i in result.entity_ids]
    assert [(r.external_id, r.version, r.class_ids) for r in records] == [
        ("1", 2, (room.id,)),
        ("2", 2, (room.id,)),
    ]
    published = by_topic(await stores.published())
    updated = published[topics.STUDENT_UPDATED]
    assert sorted(p.data["external_id"] for p in updated) == ["1", "2"]
    assert [await found(stores, one) for one in "12"] == [[by_id.id], [by_email.id]]
    # The same again finds them.
    again = await register(stores, room.id, *rows)
    assert again.entity_ids == result.entity_ids
    assert topics.STUDENT_UPDATED not in by_topic(await stores.published())


async def test_who_is_in_the_class_already_takes_it_too(stores: Stores) -> None:
    room = await make_class(stores, TEACHER)
    one = await make_student(stores, TEACHER, new_student(email="a@b.example", class_ids=[room.id]))
    await stores.published()
    await register(stores, room.id, student("a@b.example") | {"external_id": "1"})
    assert (await get(stores, one.id)).external_id == "1"
    [updated] = (await stores.published(topics.STUDENT_UPDATED))[:1]
    assert (updated.data["external_id"], updated.data["add_class_ids"]) == ("1", [])
    changes = await stores.past.changes()
    [told] = [c for c in changes if c.id == one.id and c.kind is ChangeKind.UPDATED]
    assert (told.after or {})["external_id"] == "1"


async def test_one_address_with_two_external_ids_is_two_pupils(stores: Stores) -> None:
    room = await make_class(stores, TEACHER)
    one = await pupil(stores, "1", email="home@b.example")
    row = student("home@b.example") | {"external_id": "2"}
    result = await register(stores, room.id, row)
    assert (result.status, result.error_code) == (REJECTED, "STUDENT_EMAIL_CONFLICT")
    [fault] = result.errors
    assert (fault.pointer, fault.student_id) == ("/students/0/email", one.id)
    # So it is in one roster, for who is there without an external id, and for who is new.
    bare = await make_student(stores, TEACHER, new_student(email="c@d.example"))
    for email, holder in (("c@d.example", bare.id), ("new@b.example", None)):
        rows = [student(email) | {"external_id": f"{email}{n}"} for n in range(2)]
        result = await register(stores, room.id, *rows)
        assert (result.status, result.error_code) == (REJECTED, "STUDENT_EMAIL_CONFLICT")
        [fault] = result.errors
        assert (fault.pointer, fault.student_id) == ("/students/1/email", holder)
    assert (await get(stores, bare.id)).external_id is None


async def test_a_pupil_twice_in_a_roster_is_made_once(stores: Stores) -> None:
    room = await make_class(stores, TEACHER)
    row = student() | {"external_id": "1"}
    result = await register(stores, room.id, row, row | {"email": "a@b.example"}, row)
    assert (result.status, len(set(result.entity_ids)), len(result.entity_ids)) == (APPLIED, 1, 3)
    assert (await get(stores, result.entity_ids[0])).email is None


async def test_another_owners_is_nobody(stores: Stores) -> None:
    theirs = await create(stores, "1", OTHER)
    assert isinstance(theirs, StudentRecord)
    room = await make_class(stores, TEACHER)
    result = await register(stores, room.id, student() | {"external_id": "1"})
    assert (result.status, theirs.id in result.entity_ids) == (APPLIED, False)


async def test_who_is_refused_takes_no_external_id(stores: Stores) -> None:
    rooms = [await make_class(stores, TEACHER) for _ in range(MAX_CLASSES)]
    one = await make_student(
        stores, TEACHER, new_student(email="a@b.example", class_ids=[r.id for r in rooms])
    )
    more = await make_class(stores, TEACHER)
    given = student("a@b.example", class_ids=[more.id]) | {"external_id": "1"}
    result = await apply(stores, "student.create", **given)
    assert (result.status, result.error_code) == (REJECTED, ValidationFailedError.error_code)
    assert (await get(stores, one.id)).external_id is None
    assert isinstance(await create(stores, "1"), StudentRecord)


async def test_two_rosters_at_once_give_it_to_one(stores: Stores) -> None:
    rooms = [await make_class(stores, TEACHER) for _ in range(4)]
    pupils = [
        await make_student(stores, TEACHER, new_student(email=f"{n}@b.example")) for n in range(4)
    ]
    results = await asyncio.gather(
        *(
            register(stores, room.id, student(one.email) | {"external_id": "1"})
            for room, one in zip(rooms, pupils, strict=True)
        )
    )
    [holder] = await found(stores, "1")
    meant = [r.entity_ids[0] for r in results if r.status is APPLIED]
    assert holder in meant
    # Who came later either joined without it, or was found by the external id of the first.
    assert len(meant) == 4
    assert {(await get(stores, one.id)).external_id for one in pupils} == {"1", None}


# --- lists -------------------------------------------------------------------------------------


async def test_lists_find_by_it_and_by_nothing_like_it(stores: Stores) -> None:
    one, room = await pupil(stores, "Ab-1", email="a@b.example"), await create_class(stores, "Ab-1")
    assert isinstance(room, ClassRecord)
    for external_id in ("ab-1", "Ab-", "Ab-11", "%", "."):
        assert await found(stores, external_id) == []
        assert await found_classes(stores, external_id) == []
    assert await found(stores, "Ab-1", email="a@b.example", part="åsa") == [one.id]
    assert await found(stores, "Ab-1", email="c@d.example") == []
    assert await found(stores, "Ab-1", class_id=room.id) == []
    theirs = await stores.classes.find_students(OTHER.user_id, StudentQuery(9, external_id="Ab-1"))
    assert theirs.students == ()


# --- both stores -------------------------------------------------------------------------------


@pytest.fixture
def dsn(migrated_database: str) -> str:
    return migrated_database


#: Which student: 0 is a new one, 1 to 3 those that are there, 4 to 6 a command that names it by
#: the given id, 7 one that names nobody; with an external id, and an address for the commands.
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 7), st.sampled_from([None, "1", "2", "3"]), st.sampled_from([None, "a", "b"])
    ),
    min_size=2,
    max_size=10,
)


async def play(stores: Stores, steps: Sequence[tuple[int, str | None, str | None]]) -> list[object]:
    """Take the steps; return the answers, and who is there then."""
    owned = [await pupil(stores, None) for _ in range(3)]
    names: dict[UUID | None, str] = {None: "nobody", **{o.id: f"{n}" for n, o in enumerate(owned)}}
    answers: list[object] = []
    commands = []
    for whose, external_id, name in steps:
        if whose >= 4:
            given = owned[whose - 4].id if whose < 7 else None
            email = f"{name}@b.example" if name else None
            row = student(email, given) | {"external_id": external_id}
            commands.append(deliver("student.create", TEACHER.user_id, **row))
            continue
        made = await (
            change(stores, owned[whose - 1], external_id) if whose else create(stores, external_id)
        )
        way = made.student_id if isinstance(made, ServiceError) else None
        answers.append((type(made).__name__, names.get(way, "a new one")))
    # All in one message batch: many creates in one statement.
    for result in await stores.commands.apply_commands(commands):
        answers.append((result.status, result.error_code, names.get(result.student_id, "new")))
        answers.append([names.get(i, "new") for i in result.entity_ids])
    page = await stores.classes.find_students(TEACHER.user_id, StudentQuery(100))
    there = [
        (one.external_id or "", one.email or "", names.get(one.id, "new"), one.version)
        for one in page.students
    ]
    assert len({one.external_id for one in page.students if one.external_id}) == sum(
        one.external_id is not None for one in page.students
    )
    return [*answers, sorted(there)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_both_stores_answer_alike(
    dsn: str, steps: list[tuple[int, str | None, str | None]]
) -> None:
    async def both() -> tuple[list[object], list[object]]:
        async with memory_stores(Policy()) as memory, postgres_stores(dsn, Policy()) as postgres:
            return await play(memory, steps), await play(postgres, steps)

    in_memory, on_postgres = asyncio.run(both())
    assert in_memory == on_postgres
