"""Students over HTTP."""

import base64
from urllib.parse import quote

import pytest

from rules.changes import NewClassRequest, NewStudentRequest
from rules.ids import new_id
from rules.limits import MAX_CLASSES
from tests.integration.store.builders import caller, new_class, new_student
from tests.integration.web.api import OTHER, TEACHER, Api, Backend, Reply

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
    "is_placeholder",
    "created_at",
    "updated_at",
}


async def test_made_student_is_described_and_found_where_its_location_says(api: Api) -> None:
    class_id = await api.new_class()
    body = {"person_name": ASA, "email": "Asa@Skola.se", "class_ids": [class_id]}
    made = await api.send("POST", PATH, body)
    assert made.status == 201
    assert made.headers["Location"] == f"{PATH}/{made.json['id']}"
    assert made.json.keys() >= MEMBERS
    assert made.json["person_name"] == {**ASA, "legal_full_name": "Åsa Öberg"}
    assert made.json["full_name"] == "Åsa Öberg"
    assert made.json["email"] == "Asa@Skola.se"
    assert made.json["class_ids"] == [class_id]
    read = await api.get(made.headers["Location"])
    assert (read.headers["ETag"], read.json) == (made.headers["ETag"], made.json)


@pytest.mark.parametrize(
    ("first", "last", "legal"),
    [
        ("محمد", "العلي", None),
        ("עמית", "כהן", "עמית בן כהן"),
        ("小明", "王", "王小明"),
        ("Zoë", "O\u2019Brien-Nuñez", None),
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
    holder = await api.new_student(email="asa@skola.se")
    body = {"person_name": ASA, "email": taken}
    refused = await api.send("POST", PATH, body)
    assert refused.problem(409, "STUDENT_EMAIL_CONFLICT")["student_id"] == holder
    path = f"{PATH}/{await api.new_student(email='bo@skola.se')}"
    changed = await api.send("PUT", path, {"email": taken, "person_name": ASA})
    assert changed.problem(409, "STUDENT_EMAIL_CONFLICT")["student_id"] == holder
    assert (await api.get(path)).json["email"] == "bo@skola.se"
    assert (await api.send("POST", PATH, body, user=OTHER)).status == 201


async def test_deleted_student_is_gone(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(email="asa@skola.se", class_ids=(class_id,))
    assert (await api.send("DELETE", f"{PATH}/{student_id}")).status == 204
    (await api.get(f"{PATH}/{student_id}")).problem(404, "STUDENT_NOT_FOUND")
    assert (await api.get(f"/v1/classes/{class_id}")).json["students"] == []
    await api.new_student(email="asa@skola.se")


@pytest.mark.parametrize(
    ("name", "first", "last", "full"),
    [
        ({"first_name": "Sukarno"}, "Sukarno", "", "Sukarno"),
        ({"first_name": "", "last_name": "Suharto"}, "", "Suharto", "Suharto"),
        (
            {"first_name": "\ufeffA\u030asa ", "last_name": "\u3000Öberg"},
            "Åsa",
            "Öberg",
            "Åsa Öberg",
        ),
        (
            {"first_name": "نیم\u200cفصل", "last_name": "-"},
            "نیم\u200cفصل",
            "-",
            "نیم\u200cفصل -",
        ),
    ],
)
async def test_a_name_is_shown_in_one_form_everywhere(
    api: Api, name: dict[str, str], first: str, last: str, full: str
) -> None:
    class_id = await api.new_class("\ufeff 9A\u3000")
    made = await api.send("POST", PATH, {"person_name": name, "class_ids": [class_id]})
    assert made.status == 201
    person = {"first_name": first, "last_name": last, "legal_full_name": full}
    changed = await api.send("PUT", made.headers["Location"], {"person_name": name})
    room = (await api.get(f"/v1/classes/{class_id}")).json
    assert room["name"] == "9A"
    read = await api.get(made.headers["Location"])
    for student in (made.json, changed.json, read.json, *room["students"]):
        assert student["person_name"] == person
        assert (student["first_name"], student["last_name"]) == (first, last)
        assert student["full_name"] == full
    [listed] = (await api.get(f"/v1/classes/{class_id}/roster")).json["students"]
    assert (listed["first_name"], listed["last_name"]) == (first, last)
    assert listed["full_legal_name"] == full


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ({}, "/person_name"),
        ({"first_name": " ", "last_name": "\ufeff"}, "/person_name"),
        ({"legal_full_name": "Åsa"}, "/person_name"),
        ({"first_name": "\u200b"}, "/person_name/first_name"),
        ({"first_name": "Åsa", "last_name": "\u3164"}, "/person_name/last_name"),
        ({"first_name": "Åsa\u202e"}, "/person_name/first_name"),
        ({**ASA, "legal_full_name": "a\u2067b"}, "/person_name/legal_full_name"),
    ],
)
async def test_a_name_that_nobody_can_read_is_refused(
    api: Api, name: dict[str, str], pointer: str
) -> None:
    path = f"{PATH}/{await api.new_student()}"
    for method, where in (("POST", PATH), ("PUT", path)):
        refused = await api.send(method, where, {"person_name": name})
        refused.problem(400, "VALIDATION_ERROR")
        assert refused.pointers == [pointer]


async def test_an_email_without_anything_is_none(api: Api) -> None:
    for blank in ("", " ", "\ufeff"):
        made = await api.send("POST", PATH, {"person_name": ASA, "email": blank})
        assert (made.status, made.json["email"]) == (201, None)
        path = made.headers["Location"]
        given = await api.send("PUT", path, {"email": " a@skola.se\n"})
        assert given.json["email"] == "a@skola.se"
        cleared = await api.send("PUT", path, {"email": blank})
        assert (cleared.status, cleared.json["email"]) == (200, None)


async def test_what_an_earlier_version_took_stays_and_can_be_changed(
    api: Api, backend: Backend
) -> None:
    """Only what is sent is looked at."""
    teacher, odd = caller(TEACHER), "a\u202eb\u200b "
    room = new_class(odd)
    student = new_student(odd, "\u200b", "a@skola.se", [room.id])
    await backend.classes.create_classes([NewClassRequest(teacher, room)])
    await backend.classes.create_students([NewStudentRequest(teacher, student)])
    path = f"{PATH}/{student.id}"
    for body in (
        {"email": "b@skola.se"},
        {"email": None, "remove_class_ids": [str(room.id)]},
        {"add_class_ids": [str(room.id)]},
    ):
        changed = await api.send("PUT", path, body)
        assert (changed.status, changed.json["first_name"]) == (200, odd)
    moved = await api.send("PUT", f"/v1/classes/{room.id}", {"course_codes": ["ENG5"]})
    assert (moved.status, moved.json["name"], moved.json["course_code"]) == (200, odd, "ENG5")
    named = await api.send("PUT", path, {"person_name": ASA})
    assert (named.status, named.json["full_name"]) == (200, "Åsa Öberg")


@pytest.mark.parametrize(
    ("first", "second"),
    [("a@bücher.example", "A@xn--bcher-kva.example"), ("strauß@skola.se", "STRAUSS@skola.se")],
)
async def test_two_spellings_of_an_address_are_one(api: Api, first: str, second: str) -> None:
    await api.new_student(email=first)
    other = await api.new_student()
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{other}")):
        refused = await api.send(method, path, {"person_name": ASA, "email": second})
        refused.problem(409, "STUDENT_EMAIL_CONFLICT")


async def test_student_in_too_many_classes_is_refused_with_a_pointer(api: Api) -> None:
    class_ids = [await api.new_class() for _ in range(MAX_CLASSES + 1)]
    refused = await api.send("POST", PATH, {"person_name": ASA, "class_ids": class_ids})
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/class_ids"]
    student_id = await api.new_student(class_ids=tuple(class_ids[1:]))
    refused = await api.send("PUT", f"{PATH}/{student_id}", {"add_class_ids": class_ids[:1]})
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/add_class_ids"]


# --- finding -----------------------------------------------------------------------------------


def names(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [student["first_name"] for student in reply.json["students"]]


async def test_students_are_listed_as_they_are_read(api: Api) -> None:
    class_id = await api.new_class()
    member = await api.new_student("Bo", "Ek", "bo@skola.se", class_ids=(class_id,))
    loose = await api.new_student("Åsa", "Öberg")
    await api.new_student("Theirs", user=OTHER)
    reply = await api.get(PATH)
    expected = [(await api.get(f"{PATH}/{one}")).json for one in (member, loose)]
    assert reply.json == {
        "students": expected,
        "pagination": {"limit": 20, "returned": 2, "next_cursor": None},
    }
    for query, found in {
        "q=%C3%B6b": ["Åsa"],
        "q=SKOLA": ["Bo"],
        "q=%20ek%20": ["Bo"],
        "q=%20": ["Bo", "Åsa"],
        "q=%25": [],
        "email=BO@skola.se": ["Bo"],
        "email=%20": ["Bo", "Åsa"],
        f"class_id={class_id}": ["Bo"],
        f"class_id={class_id}&q=%C3%B6": [],
        f"class_id={new_id()}": [],
    }.items():
        assert names(await api.get(f"{PATH}?{query}")) == found, query
    assert names(await api.get(f"{PATH}?class_id={class_id}", user=OTHER)) == []
    assert names(await api.get(f"{PATH}/?q=bo")) == ["Bo"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=x", "/limit"),
        ("q=" + "x" * 256, "/q"),
        ("q=%00", "/q"),
        ("q=a%0Ab", "/q"),
        ("email=" + "x" * 255, "/email"),
        ("email=%00", "/email"),
        ("class_id=7", "/class_id"),
        ("cursor=x", "/cursor"),
        ("cursor=%00", "/cursor"),
        ("cursor=" + "A" * 22, "/cursor"),
        ("cursor=" + "A" * 9000, "/cursor"),
    ],
)
async def test_parameter_that_cannot_be_used_is_refused(api: Api, query: str, pointer: str) -> None:
    refused = await api.get(f"{PATH}?{query}")
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == [pointer]


@pytest.mark.parametrize(
    "query", ["q=%ff", "q=%ed%a0%80", "email=%ff", "q=" + "%F0%9F%98%80" * 255]
)
async def test_whatever_bytes_are_sent_there_is_an_answer(api: Api, query: str) -> None:
    assert (await api.get(f"{PATH}?{query}")).status in (200, 400)


async def test_pages_follow_each_other(api: Api) -> None:
    for n in range(5):
        await api.new_student(f"N{n}", f"L{n}")
    found: list[str] = []
    cursor: str | None = ""
    for returned in (2, 2, 1):
        reply = await api.get(f"{PATH}?limit=2&cursor={cursor}")
        found += names(reply)
        assert reply.json["pagination"]["returned"] == returned
        cursor = reply.json["pagination"]["next_cursor"]
    assert found == ["N0", "N1", "N2", "N3", "N4"]
    assert cursor is None


async def test_a_cursor_tells_no_name_and_is_good_for_its_owner_only(api: Api) -> None:
    for user in ("lärare-1", OTHER):
        for n in range(3):
            await api.new_student(f"Förnamn{n}", "Efternamn", user=user)
    cursor = (await api.get(f"{PATH}?limit=1")).json["pagination"]["next_cursor"]
    assert quote(cursor, safe="") == cursor
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert b"namn" not in raw
    assert "namn" not in cursor
    assert (await api.get(f"{PATH}?cursor={cursor}")).status == 200
    altered = cursor[:-3] + ("A" if cursor[-3] != "A" else "B") + cursor[-2:]
    for text, user in ((cursor, OTHER), (altered, "lärare-1"), (cursor[:-4], "lärare-1")):
        refused = await api.get(f"{PATH}?cursor={text}", user=user)
        refused.problem(400, "VALIDATION_ERROR")
        assert refused.pointers == ["/cursor"]


# --- merging -----------------------------------------------------------------------------------


async def test_two_students_become_one(api: Api) -> None:
    first, second = await api.new_class("9A"), await api.new_class("9B")
    gone = await api.new_student("Åsa", "Öberg", "asa@skola.se", class_ids=(first,))
    into = await api.new_student("Åsa", "Oberg", class_ids=(second,))
    batch_id, [essay_id] = await api.new_batch(first, gone)
    decided = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    assert (await api.send("POST", path, decided)).status == 200
    merged = await api.send("POST", f"/v1/classes/students/{gone}/merge", {"into": into})
    assert merged.status == 200, merged.body
    assert (merged.json["id"], merged.json["last_name"]) == (into, "Oberg")
    assert merged.json["email"] == "asa@skola.se"
    assert merged.json["class_ids"] == sorted([first, second])
    read = await api.get(f"/v1/classes/students/{into}")
    assert (read.json, read.headers["ETag"]) == (merged.json, merged.headers["ETag"])
    (await api.get(f"/v1/classes/students/{gone}")).problem(404, "STUDENT_NOT_FOUND")
    names = await api.internal(f"/internal/v1/batches/{batch_id}/student-names")
    assert [one["student_id"] for one in names.json] == [into]
    again = await api.send("POST", f"/v1/classes/students/{gone}/merge", {"into": into})
    again.problem(404, "STUDENT_NOT_FOUND")


@pytest.mark.parametrize("body", [{}, {"into": None}, {"into": "Åsa"}, {"into": "{student}"}])
async def test_merge_needs_another_student(api: Api, body: dict[str, str | None]) -> None:
    student = await api.new_student()
    given = {name: student if value == "{student}" else value for name, value in body.items()}
    reply = await api.send("POST", f"/v1/classes/students/{student}/merge", given)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/into"]
    assert (await api.get(f"/v1/classes/students/{student}")).status == 200
