"""Classes and students on pages: what a teacher sees, changes, and is asked about first."""

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.web.api import TEACHER, Reply
from tests.integration.web.console.pages import Visitor, filled, text_of

CLASSES = "/console/classes"
STUDENTS = "/console/students"
RTL = "שרה " + "\U0001f468" * 200


def went_to(reply: Reply) -> str:
    """Return where a form that did its work leads, without what it says there."""
    assert reply.status == 303, reply.body
    return reply.headers["Location"].partition("?")[0]


async def student(teacher: Visitor, student_id: str) -> Any:  # noqa: ANN401  # JSON
    return (await teacher.api.get(f"/v1/classes/students/{student_id}")).json


async def roster(teacher: Visitor, class_id: str) -> list[str]:
    reply = await teacher.api.get(f"/v1/classes/{class_id}/roster")
    return [f"{one['first_name']} {one['last_name']}" for one in reply.json["students"]]


async def test_a_class_is_made_once_however_often_its_form_is_sent(teacher: Visitor) -> None:
    assert "You have no classes yet" in await teacher.shown(CLASSES)
    fields = await teacher.fields(CLASSES, CLASSES, name="<script>9A", course="SV1")
    first, again = await teacher.post(CLASSES, fields), await teacher.post(CLASSES, fields)
    assert went_to(first) == went_to(again)
    page = await teacher.shown(CLASSES)
    assert page.count("&lt;script&gt;9A") == 1
    assert "<script>9A" not in page
    another = await teacher.post(CLASSES, {**fields, "name": "9B"})
    assert went_to(another) != went_to(first)


async def test_what_is_wrong_with_a_class_is_said_beside_its_field(teacher: Visitor) -> None:
    reply = await teacher.send(CLASSES, name=" ", course="SV9")
    page = text_of(reply)
    assert reply.status == 400
    assert 'id="name-fault"><p>Give a name.' in page
    assert 'id="course-fault"><p>Choose a course.' in page
    reply = await teacher.send(CLASSES, name="x" * 101, course="SV1")
    assert f'value="{"x" * 101}"' in text_of(reply)
    assert "At most 100 characters." in text_of(reply)
    assert "You have no classes yet" in await teacher.shown(CLASSES)


async def test_classes_come_in_pages(teacher: Visitor) -> None:
    for number in range(3):
        await teacher.api.new_class(f"klass {number}")
    page = await teacher.shown(f"{CLASSES}?limit=2")
    assert ["klass 2" in page, "klass 1" in page, "klass 0" in page] == [True, True, False]
    cursor = page.partition("cursor=")[2].partition('"')[0]
    assert "klass 0" in await teacher.shown(f"{CLASSES}?cursor={cursor}")
    assert (await teacher.get(f"{CLASSES}?cursor=x")).status == 400


async def test_an_address_that_was_cut_off_has_no_page(teacher: Visitor) -> None:
    reply = await teacher.get(f"{CLASSES}/{str(uuid4())[:13]}")
    assert reply.status == 400
    assert "There is no page at this address." in text_of(reply)
    assert "UUID" not in text_of(reply)


async def test_a_class_shows_its_students_and_batches(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class("9A")
    page = await teacher.shown(f"{CLASSES}/{class_id}")
    assert "Nobody is in this class yet" in page
    assert "No essays yet" in page
    pupil = await teacher.api.new_student(RTL[:255], "", class_ids=(class_id,))
    batch_id, _ = await teacher.api.new_batch(class_id, pupil, None)
    page = await teacher.shown(f"{CLASSES}/{class_id}")
    assert f'<bdi class="name">{RTL[:255]}</bdi>' in page
    assert f"/console/batches/{batch_id}" in page
    assert "2 essays wait" in page


async def test_a_class_is_changed_unless_somebody_else_did(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class("9A")
    path = f"{CLASSES}/{class_id}"
    fields = await teacher.fields(path, path, name="9B", course="SV2")
    # Who joins is another matter: the form does not show it.
    await teacher.api.new_student(class_ids=(class_id,))
    assert went_to(await teacher.post(path, fields)) == path
    stale = await teacher.post(path, {**fields, "name": "9C"})
    assert stale.status == 412
    page = text_of(stale)
    assert "changed meanwhile" in page
    assert 'value="9C"' in page
    assert 'Now: <bdi class="name">9B</bdi>' in page
    assert went_to(await teacher.post(path, filled(page, path, name="9C", course="SV2"))) == path
    assert "9C" in await teacher.shown(path)


async def test_what_deleting_a_class_would_end_comes_first(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class("9A")
    path = f"{CLASSES}/{class_id}/delete"
    quiet = await teacher.fields(path, path)
    assert "No batch of essays is open" in await teacher.shown(path)
    await teacher.api.new_batch(class_id, None, None)
    asked_again = await teacher.post(path, quiet)
    assert asked_again.status == 412
    assert "1 batch is open" in text_of(asked_again)
    assert "2 essays in them wait" in text_of(asked_again)
    assert went_to(await teacher.post(path, filled(text_of(asked_again), path))) == CLASSES
    assert (await teacher.get(f"{CLASSES}/{class_id}")).status == 404
    assert (await teacher.post(path, quiet)).status == 404


async def test_a_student_is_added_once(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    page, form = f"{CLASSES}/{class_id}", f"{CLASSES}/{class_id}/students"
    fields = await teacher.fields(page, form, first="Cher", last="", email="")
    for _ in range(2):
        assert went_to(await teacher.post(form, fields)) == page
    assert await roster(teacher, class_id) == ["Cher "]
    wrong = await teacher.send(page, form, first="", last=" ", email="x@")
    assert wrong.status == 400
    assert "Give a first name, a last name or both." in text_of(wrong)
    assert "This is not an email address." in text_of(wrong)
    assert 'value="x@"' in text_of(wrong)


async def test_who_has_the_address_is_offered(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    there = await teacher.api.new_student("Bo", "Ek", "bo@x.example")
    page, form = f"{CLASSES}/{class_id}", f"{CLASSES}/{class_id}/students"
    reply = await teacher.send(page, form, first="Bosse", last="Ek", email="BO@x.example")
    assert reply.status == 409
    assert f'formaction="{page}/join" name="student_id" value="{there}"' in text_of(reply)
    joined = await teacher.post(
        f"{page}/join", filled(text_of(reply), form, first="Bosse", student_id=there)
    )
    assert went_to(joined) == page
    assert await roster(teacher, class_id) == ["Bo Ek"]


async def test_a_student_who_is_there_is_found_joins_and_leaves(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    there = await teacher.api.new_student("Åsa", "Öberg", "asa@x.example")
    await teacher.api.new_student("Bo", "Ek")
    page, leaving = f"{CLASSES}/{class_id}", f"{CLASSES}/{class_id}/students/{there}/leave"
    assert (await teacher.get(leaving)).status == 404
    found = await teacher.shown(f"{page}/add?q=%C3%B6b")
    assert there in found
    assert "Bo Ek" not in found
    joining = await teacher.post(f"{page}/join", filled(found, f"{page}/join", student_id=there))
    assert went_to(joining) == page
    assert "in the class already" in await teacher.shown(f"{page}/add?q=asa@")
    assert went_to(await teacher.send(leaving)) == page
    assert await roster(teacher, class_id) == []
    assert (await student(teacher, there))["class_ids"] == []


async def test_students_are_found_also_those_of_no_class(teacher: Visitor) -> None:
    assert "You have no students yet" in await teacher.shown(STUDENTS)
    await teacher.api.new_student("Åsa", "<i>Öberg", "asa@x.example")
    page = await teacher.shown(f"{STUDENTS}?q=asa@X")
    assert "&lt;i&gt;Öberg" in page
    assert "in no class" in page
    assert "<h1>" in page
    assert "None of your students" in await teacher.shown(f"{STUDENTS}?q=zz")
    piece = await teacher.api.get(f"{STUDENTS}?q=asa", headers={"HX-Request": "true"})
    assert "Öberg" in text_of(piece)
    assert "<h1>" not in text_of(piece)
    assert (await teacher.get(f"{STUDENTS}?q=a&q=b")).status == 400
    assert (await teacher.get(f"{STUDENTS}?q={'x' * 256}")).status == 400


async def test_a_student_is_changed_unless_somebody_else_did(teacher: Visitor) -> None:
    pupil = await teacher.api.new_student("Åsa", "Öberg", "asa@x.example")
    path = f"{STUDENTS}/{pupil}"
    typed = {"first": "Asa", "last": "Oberg", "legal": "Åsa Maria Öberg", "email": ""}
    fields = await teacher.fields(path, path, **typed)
    assert went_to(await teacher.post(path, fields)) == path
    now = await student(teacher, pupil)
    assert (now["first_name"], now["full_name"], now["email"]) == ("Asa", "Åsa Maria Öberg", None)
    stale = await teacher.post(path, {**fields, "first": "Åse"})
    assert stale.status == 412
    assert 'Now: <bdi class="name">Asa</bdi>' in text_of(stale)
    assert 'value="Åse"' in text_of(stale)
    assert (await student(teacher, pupil))["first_name"] == "Asa"
    saved = await teacher.post(path, filled(text_of(stale), path, **{**typed, "first": "Åse"}))
    assert went_to(saved) == path
    wrong = await teacher.send(path, first="\u202ex", last="", legal="", email="x")
    assert wrong.status == 400
    assert "There are invisible characters in it." in text_of(wrong)


async def test_an_address_that_is_taken_leads_to_a_merge(teacher: Visitor) -> None:
    first_class = await teacher.api.new_class("9A")
    second_class = await teacher.api.new_class("9B")
    one = await teacher.api.new_student("Bo", "Ek", class_ids=(first_class,))
    two = await teacher.api.new_student("Bosse", "Ek", "bo@x.example", class_ids=(second_class,))
    path, merging = f"{STUDENTS}/{one}", f"{STUDENTS}/{one}/merge"
    reply = await teacher.send(path, first="Bo", last="Ek", legal="", email="bo@x.example")
    assert reply.status == 409
    assert f"{merging}?with={two}" in text_of(reply)
    assert two in await teacher.shown(f"{merging}?q=Bosse")
    both = await teacher.shown(f"{merging}?with={two}")
    fields = filled(both, merging, into=one)
    assert (await student(teacher, two))["first_name"] == "Bosse"
    assert went_to(await teacher.post(merging, fields)) == path
    now = await student(teacher, one)
    assert (now["first_name"], now["email"]) == ("Bo", "bo@x.example")
    assert sorted(now["class_ids"]) == sorted([first_class, second_class])
    assert (await teacher.get(f"{STUDENTS}/{two}")).status == 404
    assert (await teacher.post(merging, fields)).status == 404


async def test_a_merge_of_what_changed_meanwhile_asks_again(teacher: Visitor) -> None:
    one, two = [await teacher.api.new_student(name, "Ek") for name in ("Bo", "Bosse")]
    merging = f"{STUDENTS}/{one}/merge"
    fields = filled(await teacher.shown(f"{merging}?with={two}"), merging, into=one)
    renaming = f"{STUDENTS}/{two}"
    await teacher.send(renaming, first="Börje", last="Ek", legal="", email="")
    asked = await teacher.post(merging, fields)
    assert asked.status == 412
    assert "Börje" in text_of(asked)
    assert (await teacher.get(renaming)).status == 200
    assert (await teacher.post(merging, {**fields, "into": str(uuid4())})).status == 400
    assert (await teacher.get(f"{merging}?with={one}")).status == 400


async def test_a_student_moves_and_is_deleted(teacher: Visitor) -> None:
    source, target = await teacher.api.new_class("9A"), await teacher.api.new_class("9B")
    pupil = await teacher.api.new_student(class_ids=(source,))
    path = f"{STUDENTS}/{pupil}"
    none = await teacher.send(path, f"{path}/classes", to="")
    assert (none.status, "Choose a class." in text_of(none)) == (400, True)
    moved = await teacher.send(path, f"{path}/classes", **{"to": target, "from": source})
    assert went_to(moved) == path
    assert (await student(teacher, pupil))["class_ids"] == [target]
    stale = await teacher.fields(f"{path}/delete", f"{path}/delete")
    await teacher.send(path, first="Åse", last="Öberg", legal="", email="")
    asked = await teacher.post(f"{path}/delete", stale)
    assert asked.status == 412
    deleted = await teacher.post(f"{path}/delete", filled(text_of(asked), f"{path}/delete"))
    assert went_to(deleted) == STUDENTS
    assert (await teacher.get(path)).status == 404


async def test_what_another_teacher_has_is_not_there(teacher: Visitor, other: Visitor) -> None:
    class_id, pupil = await teacher.api.new_class("9A"), await teacher.api.new_student()
    own_class = await teacher.api.new_class("8C", user=other.user)
    own = await teacher.api.new_student("Egon", "Ek", user=other.user)
    assert ">9A<" not in await other.shown(CLASSES)
    assert "Öberg" not in (await other.shown(f"{STUDENTS}/{own}/merge"))
    pages = [
        f"{CLASSES}/{class_id}{more}"
        for more in ("", "/delete", "/add", "/paste", f"/students/{pupil}/leave")
    ] + [f"{STUDENTS}/{pupil}{more}" for more in ("", "/delete", "/merge")]
    token = await other.fields(CLASSES, CLASSES)
    typed = {"name": "x", "course": "SV1", "first": "x", "list": "x y", "expected": "0 0"}
    for path in [*pages, f"{STUDENTS}/{own}/merge?with={pupil}"]:
        assert (await other.get(path)).status == 404, path
    refused = {
        **{path: typed for path in pages if not path.endswith("/add")},
        f"{CLASSES}/{class_id}/students": typed,
        f"{CLASSES}/{class_id}/join": {"student_id": own},
        f"{CLASSES}/{own_class}/join": {"student_id": pupil},
        f"{STUDENTS}/{own}/classes": {"to": class_id},
        f"{STUDENTS}/{own}/merge": {"other": pupil, "into": own},
        f"{STUDENTS}/{pupil}/merge": {"other": own, "into": own},
    }
    for path, fields in refused.items():
        assert (await other.post(path, {**token, **fields})).status == 404, path
    assert (await student(teacher, pupil))["class_ids"] == []
    assert "9A" in await teacher.shown(CLASSES)


@pytest.mark.parametrize("course", [["SV1", "SV2"], ["SV1", "SV1"]])
async def test_a_field_that_comes_twice_is_refused(teacher: Visitor, course: list[str]) -> None:
    assert (await teacher.send(CLASSES, name="9A", course=course)).status == 400
    assert "You have no classes yet" in await teacher.shown(CLASSES)


async def test_a_form_without_its_token_does_nothing(teacher: Visitor) -> None:
    fields = await teacher.fields(CLASSES, CLASSES, name="9A", course="SV1")
    assert (await teacher.post(CLASSES, {**fields, "form_token": "x"})).status == 403
    assert (await teacher.post(CLASSES, {**fields, "once": "short"})).status == 400
    assert "You have no classes yet" in await teacher.shown(CLASSES)


async def test_the_unknown_student_is_shown_apart_and_stays(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    batch_id, [essay_id] = await teacher.api.new_batch(class_id, None)
    decision = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    confirmed = await teacher.api.send(
        "POST", f"/v1/batches/{batch_id}/student-associations/confirm", decision
    )
    assert confirmed.status == 200
    page = await teacher.shown(f"{CLASSES}/{class_id}")
    assert "“Unknown student” stands for" in page
    assert "0 students" in page
    detail = (await teacher.api.get(f"/v1/classes/{class_id}")).json
    [unknown] = [one["id"] for one in detail["students"]]
    path = f"{STUDENTS}/{unknown}"
    assert "<h1>Unknown student</h1>" in await teacher.shown(path)
    token = await teacher.fields(CLASSES, CLASSES)
    for where, fields in {
        path: {"first": "x"},
        f"{path}/classes": {"to": class_id},
        f"{CLASSES}/{class_id}/join": {"student_id": unknown},
        f"{CLASSES}/{class_id}/students/{unknown}/leave": {},
        f"{path}/delete": {},
    }.items():
        reply = await teacher.post(where, {**token, **fields})
        assert reply.status in {400, 409, 412}, (where, reply.status)
    assert (await student(teacher, unknown))["first_name"] == "UNKNOWN"
    assert TEACHER not in page
