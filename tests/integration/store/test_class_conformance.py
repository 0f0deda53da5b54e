"""Classes and students: what every store promises."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from rules import topics
from rules.changes import NewClassRequest, NewStudentRequest
from rules.class_pages import ClassQuery
from rules.documents import class_detail_json, roster_json
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    IdempotencyConflictError,
    ServiceError,
    StudentNotFoundError,
)
from rules.events.envelopes import to_json
from rules.ids import new_id
from rules.models import (
    Caller,
    ClassChange,
    ClassDetail,
    ClassRecord,
    EmailChange,
    StudentChange,
    StudentRecord,
)
from tests.integration.store.builders import (
    Published,
    Stores,
    by_topic,
    caller,
    classes_of,
    make_class,
    make_classroom,
    make_student,
    new_class,
    new_student,
    person,
)
from tests.unit.rules import members

NAMES = [
    ("محمد", "عبد الله"),
    ("Carl-Johan", "von Essen"),
    ("Đorđe", "Petrović"),
    ("O'Brien", 'D\'Arcy \\ "quoted"'),
    ("李", "小龍"),
    ("🎓", "Żółć"),
    ("</b>", "".join(map(chr, [*range(1, 32), 127, 128, 0x2028]))),
]

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def check_envelope(published: Published, correlation_id: UUID) -> None:
    """Check what holds for everything but dead letters."""
    envelope, headers = published.envelope, published.headers
    assert set(envelope) == members.ENVELOPE
    assert envelope["event_type"] == published.topic == headers["event_type"]
    assert envelope["event_id"] == headers["event_id"]
    assert envelope["correlation_id"] == str(correlation_id) == headers["correlation_id"]
    assert envelope["source_service"] == "class_management_service"
    assert envelope["schema_version"] == 1
    assert headers["content-type"] == "application/json"


def notification_of(published: Published, kind: str) -> dict[str, object]:
    """Check the form of a notification and return its payload."""
    data = published.data
    assert published.topic == topics.NOTIFICATION_REQUESTED
    assert published.key == data["teacher_id"]
    assert set(data) == members.NOTIFICATION
    assert data["notification_type"] == kind
    payload: dict[str, object] = data["payload"]
    assert set(payload) == members.PAYLOADS[kind]
    return payload


# --- making classes ----------------------------------------------------------------------------


async def test_class_is_made_as_asked(stores: Stores) -> None:
    teacher, new = caller("lärare-1"), new_class("Svenska 9A")
    made = await make_class(stores, teacher, new)
    assert (made.id, made.owner_id, made.name) == (new.id, "lärare-1", "Svenska 9A")
    assert (made.course_code, made.student_count, made.version) == ("SV1", 0, 1)
    assert made.created_at == made.updated_at
    assert made.created_at.utcoffset() == timedelta(0)
    detail = await stores.rosters.get_class("lärare-1", new.id)
    assert (detail.record, detail.students) == (made, ())


async def test_class_created_is_published_with_its_notification(stores: Stores) -> None:
    teacher, new = caller(traceparent=TRACEPARENT), new_class("9A", "ENG6")
    await make_class(stores, teacher, new)
    published = by_topic(await stores.published())
    assert published.keys() == {topics.CLASS_CREATED, topics.NOTIFICATION_REQUESTED}
    [created] = published[topics.CLASS_CREATED]
    check_envelope(created, teacher.trace.correlation_id)
    assert created.key == str(new.id)
    assert created.headers["traceparent"] == TRACEPARENT
    assert set(created.data) == members.CLASS_CREATED
    assert created.data["event"] == "class.created"
    assert created.data["class_id"] == str(new.id)
    assert created.data["class_designation"] == "9A"
    assert created.data["course_codes"] == ["ENG6"]
    assert created.data["user_id"] == "teacher-1"
    assert created.data["correlation_id"] == str(teacher.trace.correlation_id)
    [notification] = published[topics.NOTIFICATION_REQUESTED]
    check_envelope(notification, teacher.trace.correlation_id)
    payload = notification_of(notification, "class_created")
    assert (payload["class_id"], payload["course_codes"]) == (str(new.id), ["ENG6"])


async def test_making_a_class_with_a_known_id_changes_nothing(stores: Stores) -> None:
    teacher, new = caller(), new_class("9A")
    made = await make_class(stores, teacher, new)
    await stores.published()
    assert await make_class(stores, teacher, new) == made
    assert await stores.published() == []
    assert await classes_of(stores, teacher.user_id) == [made]


async def test_class_id_of_another_owner_is_refused_alone(stores: Stores) -> None:
    taken = await make_class(stores, caller("other"))
    await stores.published()
    mine = caller("mine")
    first, last = new_class("first"), new_class("last")
    answers = await stores.classes.create_classes(
        [
            NewClassRequest(mine, first),
            NewClassRequest(mine, new_class("stolen", class_id=taken.id)),
            NewClassRequest(mine, last),
        ]
    )
    assert [type(a) for a in answers] == [ClassRecord, IdempotencyConflictError, ClassRecord]
    created = await stores.published(topics.CLASS_CREATED)
    assert {one.key for one in created} == {str(first.id), str(last.id)}
    assert len(created) == 2
    assert (await stores.rosters.get_class("other", taken.id)).record == taken


async def test_one_id_twice_in_a_list_makes_one_class(stores: Stores) -> None:
    teacher, class_id = caller(), new_id()
    answers = await stores.classes.create_classes(
        [NewClassRequest(teacher, new_class(name, class_id=class_id)) for name in ("A", "B", "A")]
    )
    first, other, again = answers
    assert isinstance(first, ClassRecord)
    assert isinstance(other, IdempotencyConflictError)
    assert again == first
    assert len(await stores.published(topics.CLASS_CREATED)) == 1


async def test_one_id_for_two_owners_in_a_list_goes_to_the_first(stores: Stores) -> None:
    class_id = new_id()
    answers = await stores.classes.create_classes(
        [NewClassRequest(caller(owner), new_class(class_id=class_id)) for owner in ("a", "b")]
    )
    assert [type(answer) for answer in answers] == [ClassRecord, IdempotencyConflictError]


async def test_no_classes_are_made_of_an_empty_list(stores: Stores) -> None:
    assert await stores.classes.create_classes([]) == []
    assert await stores.classes.create_students([]) == []


# --- reading classes ---------------------------------------------------------------------------


async def test_own_classes_are_listed_newest_first_in_pages(stores: Stores) -> None:
    teacher = caller()
    made = []
    for number in range(5):
        made.append(await make_class(stores, teacher, new_class(f"class {number}")))
        await stores.elapse(timedelta(seconds=1))
        await make_class(stores, caller("other"))
    newest_first = made[::-1]

    async def page(limit: int, offset: int) -> list[ClassRecord]:
        query = ClassQuery(limit, offset)
        return [*(await stores.classes.list_classes(teacher.user_id, query)).classes]

    assert [c.id for c in await page(10, 0)] == [c.id for c in newest_first]
    assert [c.id for c in await page(2, 0)] == [c.id for c in newest_first[:2]]
    assert [c.id for c in await page(2, 3)] == [c.id for c in newest_first[3:]]
    assert await page(2, 5) == []
    assert await classes_of(stores, "nobody") == []


async def test_class_shows_its_students_by_last_and_first_name(stores: Stores) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher)
    for first, last in (("Bo", "Berg"), ("Eva", "Alm"), ("Ada", "Berg")):
        await make_student(stores, teacher, new_student(first, last, class_ids=[cls.id]))
    await make_student(stores, teacher, new_student("Not", "Here"))
    detail = await stores.rosters.get_class(teacher.user_id, cls.id)
    in_order = [("Eva", "Alm"), ("Ada", "Berg"), ("Bo", "Berg")]
    assert [(s.name.first_name, s.name.last_name) for s in detail.students] == in_order
    assert detail.record.student_count == 3
    [listed] = await classes_of(stores, teacher.user_id)
    assert listed.student_count == 3
    assert tuple(await stores.rosters.roster(cls.id, teacher.user_id)) == detail.students
    assert tuple(await stores.rosters.roster(cls.id, None)) == detail.students


async def check_documents(stores: Stores, teacher: Caller, class_id: UUID) -> ClassDetail:
    """Check that documents are to the byte what the service's own serialiser makes."""
    owner = teacher.user_id
    detail = await stores.rosters.get_class(owner, class_id)
    document = await stores.classes.class_document(owner, class_id)
    assert document == to_json(class_detail_json(detail))
    for who in (owner, None):
        roster = await stores.classes.roster_document(class_id, who)
        assert roster == to_json(roster_json(detail.students))
    return detail


async def test_documents_tell_what_records_do(stores: Stores) -> None:
    teacher = caller()
    cls, other = [await make_class(stores, teacher, new_class(name)) for name in ("9A", "\t9B/")]
    for number, name in enumerate(NAMES):
        joined = [cls.id, other.id] if number % 2 else [cls.id]
        email = f"{number}+o'k@skola.example" if number % 3 else None
        await make_student(stores, teacher, new_student(*name, email=email, class_ids=joined))
    await stores.classes.update_class(teacher, other.id, ClassChange(course_code="ENG5"))
    detail = await check_documents(stores, teacher, cls.id)
    assert len(detail.students) == len(NAMES)
    assert (await check_documents(stores, teacher, other.id)).record.version == 2


async def test_documents_of_a_class_without_students(stores: Stores) -> None:
    teacher = caller()
    detail = await check_documents(stores, teacher, (await make_class(stores, teacher)).id)
    assert detail.students == ()


async def test_class_of_three_hundred(stores: Stores) -> None:
    room = await make_classroom(stores, 300)
    detail = await stores.rosters.get_class(room.teacher.user_id, room.id)
    assert detail.record.student_count == 300
    assert {student.id for student in detail.students} == set(room.students)
    assert len(await stores.rosters.roster(room.id, None)) == 300


# --- changing classes --------------------------------------------------------------------------


async def test_class_changes_by_parts(stores: Stores) -> None:
    teacher = caller()
    made = await make_class(stores, teacher, new_class("9A", "SV1"))
    await stores.published()
    await stores.elapse(timedelta(seconds=1))
    renamed = (await stores.classes.update_class(teacher, made.id, ClassChange(name="9B"))).record
    assert (renamed.name, renamed.course_code, renamed.version) == ("9B", "SV1", 2)
    assert renamed.updated_at > renamed.created_at
    change = ClassChange(course_code="SV2")
    moved = (await stores.classes.update_class(teacher, made.id, change)).record
    assert (moved.name, moved.course_code, moved.version) == ("9B", "SV2", 3)
    assert (await stores.rosters.get_class(teacher.user_id, made.id)).record == moved
    published = await stores.published()
    assert [one.topic for one in published] == [topics.CLASS_UPDATED] * 2
    check_envelope(published[-1], teacher.trace.correlation_id)
    data = published[-1].data
    assert published[-1].key == str(made.id)
    assert set(data) == members.CLASS_UPDATED
    assert (data["event"], data["class_designation"]) == ("class.updated", "9B")
    assert (data["course_codes"], data["user_id"]) == (["SV2"], "teacher-1")


@pytest.mark.parametrize(
    "change", [ClassChange(), ClassChange(name="9A"), ClassChange("9A", "SV1")], ids=str
)
async def test_class_change_that_changes_nothing_publishes_nothing(
    stores: Stores, change: ClassChange
) -> None:
    room = await make_classroom(stores, 2, new=new_class("9A", "SV1"))
    before = (await stores.rosters.get_class(room.teacher.user_id, room.id)).record
    assert (await stores.classes.update_class(room.teacher, room.id, change)).record == before
    assert await stores.published() == []


async def test_deleted_class_is_gone_and_its_students_stay(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    other = await make_class(stores, room.teacher)
    join = StudentChange(add_class_ids=(other.id,))
    await stores.classes.update_student(room.teacher, room.students[0], join)
    await stores.published()
    await stores.classes.delete_class(room.teacher, room.id)
    owner = room.teacher.user_id
    assert [c.id for c in await classes_of(stores, owner)] == [other.id]
    enrolled = [(await stores.classes.get_student(owner, s)).class_ids for s in room.students]
    assert enrolled == [(other.id,), ()]
    [deleted] = await stores.published()
    check_envelope(deleted, room.teacher.trace.correlation_id)
    assert (deleted.topic, deleted.key) == (topics.CLASS_DELETED, str(room.id))
    assert set(deleted.data) == members.CLASS_DELETED
    assert deleted.data["event"] == "class.deleted"
    assert (deleted.data["class_id"], deleted.data["user_id"]) == (str(room.id), owner)


async def test_deleted_class_can_be_made_anew_and_is_empty(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    await stores.classes.delete_class(room.teacher, room.id)
    made = await make_class(stores, room.teacher, new_class("again", class_id=room.id))
    assert (made.version, made.student_count) == (1, 0)
    assert (await stores.rosters.get_class(room.teacher.user_id, room.id)).students == ()


# --- making students ---------------------------------------------------------------------------


async def test_student_is_made_as_asked(stores: Stores) -> None:
    teacher = caller()
    classes = [await make_class(stores, teacher) for _ in range(2)]
    new = new_student("Åsa", "Öberg", "Asa.Oberg@skola.example", [c.id for c in classes])
    made = await make_student(stores, teacher, new)
    assert (made.id, made.owner_id, made.name) == (new.id, "teacher-1", new.name)
    assert (made.email, made.version) == ("Asa.Oberg@skola.example", 1)
    assert made.class_ids == tuple(sorted(c.id for c in classes))
    assert await stores.classes.get_student("teacher-1", new.id) == made


async def test_student_created_is_published_with_a_notification_for_each_class(
    stores: Stores,
) -> None:
    teacher = caller()
    classes = [await make_class(stores, teacher, new_class(name)) for name in ("A", "B")]
    await stores.published()
    new = new_student("Åsa", "Öberg", "asa@skola.example", [c.id for c in classes])
    await make_student(stores, teacher, new)
    published = by_topic(await stores.published())
    assert published.keys() == {topics.STUDENT_CREATED, topics.NOTIFICATION_REQUESTED}
    [created] = published[topics.STUDENT_CREATED]
    check_envelope(created, teacher.trace.correlation_id)
    assert created.key == str(new.id)
    assert set(created.data) == members.STUDENT_CREATED
    assert created.data["event"] == "student.created"
    assert created.data["student_id"] == str(new.id)
    assert (created.data["first_name"], created.data["last_name"]) == ("Åsa", "Öberg")
    assert created.data["student_email"] == "asa@skola.example"
    assert created.data["class_ids"] == [str(c.id) for c in classes]
    assert created.data["created_by_user_id"] == teacher.user_id
    told = published[topics.NOTIFICATION_REQUESTED]
    payloads = [notification_of(one, "student_added_to_class") for one in told]
    assert [p["class_id"] for p in payloads] == [str(c.id) for c in classes]
    assert [p["class_designation"] for p in payloads] == ["A", "B"]
    assert {p["student_name"] for p in payloads} == {"Åsa Öberg"}


async def test_student_without_class_and_email(stores: Stores) -> None:
    teacher = caller()
    for _ in range(2):
        made = await make_student(stores, teacher, new_student())
        assert (made.email, made.class_ids) == (None, ())
    published = await stores.published()
    assert [one.topic for one in published] == [topics.STUDENT_CREATED] * 2
    assert published[0].data["student_email"] is None
    assert published[0].data["class_ids"] == []


async def test_student_in_five_classes(stores: Stores) -> None:
    teacher = caller()
    classes = [await make_class(stores, teacher) for _ in range(5)]
    new = new_student(class_ids=[c.id for c in classes])
    made = await make_student(stores, teacher, new)
    assert set(made.class_ids) == {c.id for c in classes}
    for cls in classes:
        assert [s.id for s in await stores.rosters.roster(cls.id, teacher.user_id)] == [new.id]
    assert len(await stores.published(topics.NOTIFICATION_REQUESTED)) == 5 + 5


@pytest.mark.parametrize(("first", "last"), NAMES)
async def test_names_come_back_as_they_were_written(stores: Stores, first: str, last: str) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher, new_class(f"{first} {last}"))
    new = new_student(first, last, class_ids=[cls.id])
    await make_student(stores, teacher, new)
    [listed] = await stores.rosters.roster(cls.id, None)
    assert listed.name == person(first, last)
    assert (await stores.rosters.get_class(teacher.user_id, cls.id)).record.name == cls.name
    [created] = await stores.published(topics.STUDENT_CREATED)
    assert (created.data["first_name"], created.data["last_name"]) == (first, last)


async def test_email_is_taken_in_whatever_case(stores: Stores) -> None:
    teacher = caller()
    await make_student(stores, teacher, new_student(email="Asa.Öberg@Skola.example"))
    await stores.published()
    requests = [
        NewStudentRequest(teacher, new_student(email=email))
        for email in ("asa.öberg@skola.example", "ASA.ÖBERG@SKOLA.EXAMPLE", "other@skola.example")
    ]
    answers = await stores.classes.create_students(requests)
    expected = [EmailConflictError, EmailConflictError, StudentRecord]
    assert [type(answer) for answer in answers] == expected
    created = await stores.published()
    assert [one.key for one in created] == [str(requests[2].new.id)]
    with pytest.raises(StudentNotFoundError):
        await stores.classes.get_student(teacher.user_id, requests[0].new.id)


async def test_email_of_another_owners_student_is_free(stores: Stores) -> None:
    for owner in ("a", "b"):
        await make_student(stores, caller(owner), new_student(email="same@skola.example"))


async def test_one_email_twice_in_a_list_goes_to_the_first(stores: Stores) -> None:
    teacher = caller()
    requests = [
        NewStudentRequest(teacher, new_student(email=email))
        for email in ("x@y.example", "X@y.example")
    ]
    answers = await stores.classes.create_students(requests)
    assert [type(answer) for answer in answers] == [StudentRecord, EmailConflictError]
    assert len(await stores.published()) == 1


@pytest.mark.parametrize("how", ["deleted", "cleared", "changed"])
async def test_email_that_is_given_up_is_free_again(stores: Stores, how: str) -> None:
    teacher = caller()
    holder = await make_student(stores, teacher, new_student(email="x@y.example"))
    if how == "deleted":
        await stores.classes.delete_student(teacher, holder.id)
    else:
        email = None if how == "cleared" else "z@y.example"
        change = StudentChange(email=EmailChange(email))
        await stores.classes.update_student(teacher, holder.id, change)
    await make_student(stores, teacher, new_student(email="X@Y.example"))


@pytest.mark.parametrize("whose", ["nobody", "other"])
async def test_student_for_a_class_that_is_not_mine_is_refused_whole(
    stores: Stores, whose: str
) -> None:
    teacher = caller()
    mine = await make_class(stores, teacher)
    theirs = (await make_class(stores, caller("other"))).id if whose == "other" else new_id()
    await stores.published()
    refused = new_student(email="x@y.example", class_ids=[mine.id, theirs])
    taken = new_student(email="x@y.example", class_ids=[mine.id])
    answers = await stores.classes.create_students(
        [NewStudentRequest(teacher, refused), NewStudentRequest(teacher, taken)]
    )
    assert [type(answer) for answer in answers] == [ClassNotFoundError, StudentRecord]
    assert [s.id for s in await stores.rosters.roster(mine.id, None)] == [taken.id]
    created = await stores.published(topics.STUDENT_CREATED)
    assert [one.key for one in created] == [str(taken.id)]


async def test_making_a_student_with_a_known_id_changes_nothing(stores: Stores) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher)
    new = new_student("Åsa", "Öberg", "a@b.example")
    made = await make_student(stores, teacher, new)
    await stores.published()
    assert await make_student(stores, teacher, new) == made
    for other in (
        new_student("Bo", "Öberg", "a@b.example", student_id=made.id),
        new_student("Åsa", "Öberg", "A@b.example", student_id=made.id),
        new_student("Åsa", "Öberg", None, student_id=made.id),
        new_student("Åsa", "Öberg", "a@b.example", [cls.id], made.id),
    ):
        [refused] = await stores.classes.create_students([NewStudentRequest(teacher, other)])
        assert isinstance(refused, IdempotencyConflictError)
    assert await stores.published() == []
    assert await stores.rosters.roster(cls.id, None) == []


async def test_student_with_a_known_id_may_have_joined_classes_since(stores: Stores) -> None:
    teacher = caller()
    cls, other = await make_class(stores, teacher), await make_class(stores, teacher)
    new = new_student(class_ids=[cls.id])
    made = await make_student(stores, teacher, new)
    change = StudentChange(add_class_ids=(other.id,))
    joined = await stores.classes.update_student(teacher, made.id, change)
    await stores.published()
    assert await make_student(stores, teacher, new) == joined
    await stores.classes.delete_class(teacher, cls.id)
    await stores.published()
    [refused] = await stores.classes.create_students([NewStudentRequest(teacher, new)])
    assert isinstance(refused, IdempotencyConflictError)
    assert await stores.published() == []


async def test_student_id_of_another_owner_is_refused_alone(stores: Stores) -> None:
    theirs = await make_student(stores, caller("other"), new_student())
    mine = caller("mine")
    other = new_student()
    answers = await stores.classes.create_students(
        [NewStudentRequest(mine, new_student(student_id=theirs.id)), NewStudentRequest(mine, other)]
    )
    assert [type(answer) for answer in answers] == [IdempotencyConflictError, StudentRecord]
    assert await stores.classes.get_student("other", theirs.id) == theirs


async def test_one_student_id_twice_in_a_list_makes_one_student(stores: Stores) -> None:
    teacher, student_id = caller(), new_id()
    answers = await stores.classes.create_students(
        [
            NewStudentRequest(teacher, new_student(name, "X", student_id=student_id))
            for name in ("A", "B", "A")
        ]
    )
    first, other, again = answers
    assert isinstance(first, StudentRecord)
    assert isinstance(other, IdempotencyConflictError)
    assert again == first
    assert len(await stores.published(topics.STUDENT_CREATED)) == 1


async def test_of_students_with_one_email_in_a_list_the_first_is_made(stores: Stores) -> None:
    teacher = caller()
    wanted = [
        NewStudentRequest(teacher, new_student(f"N{n}", "X", f"{'Aa'[n % 2]}{n // 50}@b.example"))
        for n in range(200)
    ]
    answers = await stores.classes.create_students(wanted)
    made = [n for n, answer in enumerate(answers) if isinstance(answer, StudentRecord)]
    assert made == [0, 50, 100, 150]
    refused = [answer for answer in answers if not isinstance(answer, StudentRecord)]
    assert {type(answer) for answer in refused} == {EmailConflictError}


# --- changing students -------------------------------------------------------------------------


async def test_student_changes_by_parts(stores: Stores) -> None:
    teacher = caller()
    made = await make_student(stores, teacher, new_student("Åsa", "Öberg", "a@b.example"))
    await stores.published()
    await stores.elapse(timedelta(seconds=1))

    async def change(change: StudentChange) -> StudentRecord:
        return await stores.classes.update_student(teacher, made.id, change)

    renamed = await change(StudentChange(name=person("Åse", "Berg", "Åse M. Berg")))
    assert renamed.name == person("Åse", "Berg", "Åse M. Berg")
    assert (renamed.email, renamed.version) == ("a@b.example", 2)
    assert renamed.updated_at > renamed.created_at
    moved = await change(StudentChange(email=EmailChange("c@d.example")))
    assert (moved.name, moved.email, moved.version) == (renamed.name, "c@d.example", 3)
    recased = await change(StudentChange(email=EmailChange("C@D.example")))
    assert (recased.email, recased.version) == ("C@D.example", 4)
    cleared = await change(StudentChange(email=EmailChange(None)))
    assert (cleared.email, cleared.version) == (None, 5)
    assert await stores.classes.get_student(teacher.user_id, made.id) == cleared
    published = await stores.published()
    assert [one.topic for one in published] == [topics.STUDENT_UPDATED] * 4
    assert [one.key for one in published] == [str(made.id)] * 4
    check_envelope(published[0], teacher.trace.correlation_id)
    assert set(published[0].data) == members.STUDENT_UPDATED
    assert published[0].data["event"] == "student.updated"
    assert published[0].data["updated_by_user_id"] == teacher.user_id
    assert (published[0].data["first_name"], published[0].data["last_name"]) == ("Åse", "Berg")
    emails = [one.data["student_email"] for one in published]
    assert emails == ["a@b.example", "c@d.example", "C@D.example", None]
    assert published[0].data["add_class_ids"] == published[0].data["remove_class_ids"] == []


async def test_student_joins_and_leaves_classes(stores: Stores) -> None:
    teacher = caller()
    old, kept, new = [await make_class(stores, teacher, new_class(n)) for n in ("O", "K", "N")]
    made = await make_student(stores, teacher, new_student(class_ids=[old.id, kept.id]))
    await stores.published()
    change = StudentChange(add_class_ids=(kept.id, new.id), remove_class_ids=(old.id,))
    changed = await stores.classes.update_student(teacher, made.id, change)
    assert changed.class_ids == tuple(sorted([kept.id, new.id]))
    assert changed.version == 2
    assert await stores.rosters.roster(old.id, None) == []
    assert await stores.rosters.roster(new.id, None) == [changed]
    published = by_topic(await stores.published())
    [updated] = published[topics.STUDENT_UPDATED]
    assert updated.data["add_class_ids"] == [str(new.id)]
    assert updated.data["remove_class_ids"] == [str(old.id)]
    [told] = published[topics.NOTIFICATION_REQUESTED]
    assert notification_of(told, "student_added_to_class")["class_designation"] == "N"


async def test_student_change_that_changes_nothing_publishes_nothing(stores: Stores) -> None:
    teacher = caller()
    inside, outside = [await make_class(stores, teacher) for _ in range(2)]
    new = new_student("Åsa", "Öberg", "a@b.example", [inside.id])
    made = await make_student(stores, teacher, new)
    await stores.published()
    for change in (
        StudentChange(),
        StudentChange(name=new.name, email=EmailChange("a@b.example")),
        StudentChange(add_class_ids=(inside.id,), remove_class_ids=(outside.id,)),
    ):
        assert await stores.classes.update_student(teacher, made.id, change) == made
    assert await stores.published() == []


@pytest.mark.parametrize("whose", ["nobody", "other"])
@pytest.mark.parametrize("direction", ["add", "remove"])
async def test_class_that_is_not_mine_can_be_neither_joined_nor_left(
    stores: Stores, direction: str, whose: str
) -> None:
    teacher = caller()
    mine = await make_class(stores, teacher)
    theirs = (await make_class(stores, caller("other"))).id if whose == "other" else new_id()
    made = await make_student(stores, teacher, new_student(class_ids=[mine.id]))
    await stores.published()
    change = StudentChange(
        name=person("Never", "Applied"),
        add_class_ids=(theirs,) if direction == "add" else (),
        remove_class_ids=(mine.id, theirs) if direction == "remove" else (),
    )
    with pytest.raises(ClassNotFoundError):
        await stores.classes.update_student(teacher, made.id, change)
    assert await stores.classes.get_student(teacher.user_id, made.id) == made
    assert await stores.published() == []


async def test_email_of_another_of_my_students_is_refused(stores: Stores) -> None:
    teacher = caller()
    await make_student(stores, teacher, new_student(email="taken@b.example"))
    made = await make_student(stores, teacher, new_student(email="mine@b.example"))
    await stores.published()
    change = StudentChange(person("Never", "Applied"), EmailChange("TAKEN@b.example"))
    with pytest.raises(EmailConflictError):
        await stores.classes.update_student(teacher, made.id, change)
    assert await stores.classes.get_student(teacher.user_id, made.id) == made
    assert await stores.published() == []


async def test_deleted_student_is_gone_from_everywhere(stores: Stores) -> None:
    room = await make_classroom(stores, 2)
    gone, stays = room.students
    await stores.classes.delete_student(room.teacher, gone)
    with pytest.raises(StudentNotFoundError):
        await stores.classes.get_student(room.teacher.user_id, gone)
    detail = await stores.rosters.get_class(room.teacher.user_id, room.id)
    assert ([s.id for s in detail.students], detail.record.student_count) == ([stays], 1)
    [deleted] = await stores.published()
    check_envelope(deleted, room.teacher.trace.correlation_id)
    assert (deleted.topic, deleted.key) == (topics.STUDENT_DELETED, str(gone))
    assert set(deleted.data) == members.STUDENT_DELETED
    assert deleted.data["event"] == "student.deleted"
    assert deleted.data["student_id"] == str(gone)
    assert deleted.data["deleted_by_user_id"] == room.teacher.user_id


# --- at the same moment ------------------------------------------------------------------------


async def test_one_email_at_the_same_moment_goes_to_one_student(stores: Stores) -> None:
    teacher = caller()
    answers = await asyncio.gather(
        *(
            stores.classes.create_students([NewStudentRequest(teacher, new_student(email=email))])
            for email in ("x@y.example", "X@y.example", "x@Y.example")
        )
    )
    found = sorted(type(answer).__name__ for [answer] in answers)
    assert found == ["EmailConflictError", "EmailConflictError", "StudentRecord"]
    assert len(await stores.published(topics.STUDENT_CREATED)) == 1


async def test_one_email_given_to_two_students_at_the_same_moment(stores: Stores) -> None:
    teacher = caller()
    students = [await make_student(stores, teacher, new_student()) for _ in range(2)]
    await stores.published()
    change = StudentChange(email=EmailChange("x@y.example"))
    answers = await asyncio.gather(
        *(stores.classes.update_student(teacher, s.id, change) for s in students),
        return_exceptions=True,
    )
    found = sorted(type(answer).__name__ for answer in answers)
    assert found == ["EmailConflictError", "StudentRecord"]
    assert len(await stores.published()) == 1


async def test_one_id_at_the_same_moment_makes_one_class_and_one_student(stores: Stores) -> None:
    teacher, cls, student = caller(), new_class(), new_student()
    await asyncio.gather(*(make_class(stores, teacher, cls) for _ in range(4)))
    assert len(await stores.published(topics.CLASS_CREATED)) == 1
    await asyncio.gather(*(make_student(stores, teacher, student) for _ in range(4)))
    assert len(await stores.published(topics.STUDENT_CREATED)) == 1


async def test_changes_at_the_same_moment_are_all_made(stores: Stores) -> None:
    room = await make_classroom(stores, 1)
    others = [await make_class(stores, room.teacher) for _ in range(4)]
    await stores.published()
    joins = [StudentChange(add_class_ids=(cls.id,)) for cls in others]
    await asyncio.gather(
        *(stores.classes.update_student(room.teacher, room.students[0], join) for join in joins)
    )
    student = await stores.classes.get_student(room.teacher.user_id, room.students[0])
    assert set(student.class_ids) == {room.id, *(cls.id for cls in others)}
    assert student.version == 5
    assert len(await stores.published(topics.STUDENT_UPDATED)) == 4


async def test_class_is_deleted_while_students_join_it(stores: Stores) -> None:
    for _ in range(3):
        room = await make_classroom(stores, 1)
        new = new_student(class_ids=[room.id])
        _, [answer] = await asyncio.gather(
            stores.classes.delete_class(room.teacher, room.id),
            stores.classes.create_students([NewStudentRequest(room.teacher, new)]),
        )
        if isinstance(answer, StudentRecord):
            student = await stores.classes.get_student(room.teacher.user_id, new.id)
            assert student.class_ids == ()
        else:
            assert isinstance(answer, ClassNotFoundError)


# --- a caller sees and changes only what it owns -----------------------------------------------

Act = Callable[[Stores, str, UUID, UUID], Awaitable[object]]

ACTS: dict[str, tuple[type[ServiceError], Act]] = {
    "get_class": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.rosters.get_class(user, class_id),
    ),
    "update_class": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.classes.update_class(
            caller(user), class_id, ClassChange(name="mine now")
        ),
    ),
    "delete_class": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.classes.delete_class(caller(user), class_id),
    ),
    "class_document": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.classes.class_document(user, class_id),
    ),
    "roster": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.rosters.roster(class_id, user),
    ),
    "roster_document": (
        ClassNotFoundError,
        lambda stores, user, class_id, _: stores.classes.roster_document(class_id, user),
    ),
    "get_student": (
        StudentNotFoundError,
        lambda stores, user, _, student_id: stores.classes.get_student(user, student_id),
    ),
    "update_student": (
        StudentNotFoundError,
        lambda stores, user, _, student_id: stores.classes.update_student(
            caller(user), student_id, StudentChange(name=person("Mine", "Now"))
        ),
    ),
    "delete_student": (
        StudentNotFoundError,
        lambda stores, user, _, student_id: stores.classes.delete_student(caller(user), student_id),
    ),
}


@pytest.mark.parametrize("name", ACTS)
async def test_what_another_user_owns_answers_like_what_does_not_exist(
    stores: Stores, name: str
) -> None:
    room = await make_classroom(stores, 1)
    error, act = ACTS[name]
    before = await stores.rosters.get_class(room.teacher.user_id, room.id)
    with pytest.raises(error) as foreign:
        await act(stores, "intruder", room.id, room.students[0])
    with pytest.raises(error) as absent:
        await act(stores, room.teacher.user_id, new_id(), new_id())
    assert foreign.value.detail == absent.value.detail
    assert await stores.rosters.get_class(room.teacher.user_id, room.id) == before
    assert await stores.published() == []
    await act(stores, room.teacher.user_id, room.id, room.students[0])


@pytest.mark.parametrize("name", ["delete_class", "delete_student"])
async def test_what_was_deleted_is_not_there_to_be_deleted(stores: Stores, name: str) -> None:
    room = await make_classroom(stores, 1)
    error, act = ACTS[name]
    await act(stores, room.teacher.user_id, room.id, room.students[0])
    await stores.published()
    with pytest.raises(error):
        await act(stores, room.teacher.user_id, room.id, room.students[0])
    assert await stores.published() == []


async def test_roster_of_no_class_is_refused_to_services_too(stores: Stores) -> None:
    with pytest.raises(ClassNotFoundError):
        await stores.rosters.roster(new_id(), None)
    with pytest.raises(ClassNotFoundError):
        await stores.classes.roster_document(new_id(), None)
    cls = await make_class(stores, caller())
    assert await stores.rosters.roster(cls.id, None) == []
