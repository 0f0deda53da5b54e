"""Students over HTTP."""

import pytest

from tests.integration.web.api import OTHER, Api

PATH = "/v1/classes/students"
ASA = {"first_name": "Åsa", "last_name": "Öberg"}
MEMBERS = {
    "id",
    "person_name",
    "first_name",
    "last_name",
    "full_name",
    "email",
    "class_ids",
    "created_at",
    "updated_at",
}


async def test_made_student_is_described_and_found_where_its_location_says(api: Api) -> None:
    class_id = await api.new_class()
    body = {"person_name": ASA, "email": "Asa@Skola.se", "class_ids": [class_id]}
    made = await api.send("POST", PATH, body)
    assert (made.status, made.headers["ETag"]) == (201, '"1"')
    assert made.headers["Location"] == f"{PATH}/{made.json['id']}"
    assert made.json.keys() >= MEMBERS
    assert made.json["person_name"] == {**ASA, "legal_full_name": "Åsa Öberg"}
    assert made.json["full_name"] == "Åsa Öberg"
    assert made.json["email"] == "Asa@Skola.se"
    assert made.json["class_ids"] == [class_id]
    read = await api.get(made.headers["Location"])
    assert (read.headers["ETag"], read.json) == ('"1"', made.json)


@pytest.mark.parametrize(
    ("first", "last", "legal"),
    [
        ("محمد", "العلي", None),
        ("עמית", "כהן", "עמית בן כהן"),
        ("小明", "王", "王小明"),
        ("Zo\u0308e", "O\u2019Brien-Nuñez", None),
        ("👩\u200d🏫", "\U0001d4aemith", None),
    ],
)
async def test_names_come_back_as_they_were_written(
    api: Api, first: str, last: str, legal: str | None
) -> None:
    name = {"first_name": first, "last_name": last, "legal_full_name": legal}
    made = await api.send("POST", PATH, {"person_name": name})
    assert made.status == 201
    read = (await api.get(made.headers["Location"])).json
    assert (read["first_name"], read["last_name"]) == (first, last)
    assert (
        read["full_name"] == read["person_name"]["legal_full_name"] == (legal or f"{first} {last}")
    )


async def test_email_is_kept_cleared_and_set(api: Api) -> None:
    path = f"{PATH}/{await api.new_student(email='a@skola.se')}"
    kept = await api.send("PUT", path, {"person_name": {**ASA, "first_name": "Bo"}})
    assert (kept.json["email"], kept.json["first_name"]) == ("a@skola.se", "Bo")
    assert kept.headers["ETag"] == '"2"'
    assert (await api.send("PUT", path, {"email": None})).json["email"] is None
    assert (await api.send("PUT", path, {"email": "b@skola.se"})).json["email"] == "b@skola.se"
    assert (await api.get(path)).json["email"] == "b@skola.se"


async def test_classes_are_joined_and_left(api: Api) -> None:
    old, new = await api.new_class("old"), await api.new_class("new")
    path = f"{PATH}/{await api.new_student(class_ids=(old,))}"
    moved = await api.send("PUT", path, {"add_class_ids": [new], "remove_class_ids": [old]})
    assert (moved.status, moved.json["class_ids"]) == (200, [new])
    both = await api.send("PUT", path, {"add_class_ids": [old], "remove_class_ids": [old]})
    both.problem(400, "VALIDATION_ERROR")
    assert both.pointers == ["/remove_class_ids/0"]


@pytest.mark.parametrize("taken", ["asa@skola.se", "ASA@Skola.SE"])
async def test_email_is_unique_per_owner_whatever_its_case(api: Api, taken: str) -> None:
    await api.new_student(email="asa@skola.se")
    body = {"person_name": ASA, "email": taken}
    (await api.send("POST", PATH, body)).problem(409, "STUDENT_EMAIL_CONFLICT")
    path = f"{PATH}/{await api.new_student(email='bo@skola.se')}"
    changed = await api.send("PUT", path, {"email": taken, "person_name": ASA})
    changed.problem(409, "STUDENT_EMAIL_CONFLICT")
    assert (await api.get(path)).json["email"] == "bo@skola.se"
    assert (await api.send("POST", PATH, body, user=OTHER)).status == 201


async def test_deleted_student_is_gone(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(email="asa@skola.se", class_ids=(class_id,))
    assert (await api.send("DELETE", f"{PATH}/{student_id}")).status == 204
    (await api.get(f"{PATH}/{student_id}")).problem(404, "STUDENT_NOT_FOUND")
    assert (await api.get(f"/v1/classes/{class_id}")).json["students"] == []
    await api.new_student(email="asa@skola.se")
