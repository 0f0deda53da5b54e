"""Classes over HTTP."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest

from tests.integration.web.api import OTHER, SERVICE, TEACHER, Api
from web.cursors import encode
from web.table import OPERATIONS

NOW: Final = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)
ID: Final = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
MEMBERS = {
    *("id", "name", "course_code", "external_id", "student_count", "created_at", "updated_at")
}


async def test_made_class_is_described_and_found_where_its_location_says(api: Api) -> None:
    made = await api.send("POST", "/v1/classes", {"name": "9A Svenska", "course_codes": ["SV1"]})
    assert made.status == 201
    assert made.json.keys() >= MEMBERS
    assert made.json["course_code"] == "SV1"
    assert made.json["student_count"] == 0
    assert made.json["created_at"].endswith("Z")
    assert made.headers["Content-Type"] == "application/json"
    assert made.headers["Location"] == f"/v1/classes/{UUID(made.json['id'])}"

    read = await api.get(made.headers["Location"])
    assert (read.status, read.headers["ETag"]) == (200, made.headers["ETag"])
    assert read.json == {**made.json, "students": []}


async def test_class_shows_its_students(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student("Åsa", "Öberg", "asa@skola.se", class_ids=(class_id,))
    read = (await api.get(f"/v1/classes/{class_id}")).json
    assert read["student_count"] == 1
    assert read["students"] == [(await api.get(f"/v1/classes/students/{student_id}")).json]


async def test_list_is_newest_first_and_paged(api: Api) -> None:
    made = [await api.new_class(f"Klass {number}") for number in range(3)]
    first = (await api.get("/v1/classes?limit=2")).json
    assert [cls["id"] for cls in first["classes"]] == [made[2], made[1]]
    cursor = first["pagination"]["next_cursor"]
    page = {"limit": 2, "offset": 0, "returned": 2, "next_cursor": cursor}
    assert first["pagination"] == page
    for behind, offset in (("offset=2", 2), (f"cursor={cursor}", None)):
        rest = (await api.get(f"/v1/classes?limit=2&{behind}")).json
        assert [cls["id"] for cls in rest["classes"]] == [made[0]]
        last = {"limit": 2, "offset": offset, "returned": 1, "next_cursor": None}
        assert rest["pagination"] == last
        assert rest["classes"][0].keys() >= MEMBERS


async def test_pages_of_exactly_what_is_there_end(api: Api) -> None:
    assert (await api.get("/v1/classes?limit=2")).json["pagination"]["next_cursor"] is None
    for number in range(2):
        await api.new_class(f"Klass {number}")
    whole = (await api.get("/v1/classes?limit=2&offset=0&cursor=")).json
    page = {"limit": 2, "offset": 0, "returned": 2, "next_cursor": None}
    assert whole["pagination"] == page
    skipped = (await api.get("/v1/classes?limit=1&offset=1")).json["pagination"]
    assert skipped["next_cursor"] is None


async def test_a_cursor_goes_on_from_where_an_offset_ended(api: Api) -> None:
    made = [await api.new_class(f"Klass {number}") for number in range(4)]
    first = (await api.get("/v1/classes?limit=1&offset=1")).json["pagination"]
    rest = (await api.get(f"/v1/classes?cursor={first['next_cursor']}")).json["classes"]
    assert [cls["id"] for cls in rest] == [made[1], made[0]]


async def test_a_cursor_and_an_offset_are_not_for_one_page(api: Api) -> None:
    for number in range(2):
        await api.new_class(f"Klass {number}")
    cursor = (await api.get("/v1/classes?limit=1")).json["pagination"]["next_cursor"]
    for offset in ("0", "1"):
        reply = await api.get(f"/v1/classes?offset={offset}&cursor={cursor}")
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == ["/offset"]
    batches = await api.get(f"/v1/batches?cursor={cursor}")
    assert batches.pointers == ["/cursor"]


def test_every_list_that_has_pages_has_cursors() -> None:
    for operation in OPERATIONS:
        names = {parameter.name for parameter in operation.parameters}
        assert ("limit" in names) <= ("cursor" in names), operation.name


async def test_list_has_defaults_and_takes_the_largest_offset(api: Api) -> None:
    await api.new_class()
    default = (await api.get("/v1/classes")).json["pagination"]
    assert (default["limit"], default["offset"]) == (20, 0)
    beyond = await api.get(f"/v1/classes?offset={2**63 - 1}")
    assert (beyond.status, beyond.json["classes"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=", "/limit"),
        ("limit=ten", "/limit"),
        ("limit=%2B5", "/limit"),
        ("limit=1_0", "/limit"),
        ("limit=%D9%A3", "/limit"),
        ("limit=1e1", "/limit"),
        ("offset=-1", "/offset"),
        ("offset=9223372036854775808", "/offset"),
        ("offset=99999999999999999999999", "/offset"),
        ("limit=5&offset=x", "/offset"),
        ("cursor=x", "/cursor"),
        ("cursor=AQ", "/cursor"),
        (f"cursor={encode(('batches', NOW, ID))}", "/cursor"),
        (f"cursor={encode(('classes', NOW, 'x'))}", "/cursor"),
        (f"cursor={encode(('classes', NOW))}", "/cursor"),
    ],
)
async def test_bad_page_is_refused_with_a_pointer(api: Api, query: str, pointer: str) -> None:
    reply = await api.get(f"/v1/classes?{query}")
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


async def test_update_changes_what_is_given(api: Api) -> None:
    path = f"/v1/classes/{await api.new_class('9A')}"
    renamed = await api.send("PUT", path, {"name": "9B"})
    assert renamed.status == 200
    assert (renamed.json["name"], renamed.json["course_code"]) == ("9B", "SV1")
    moved = await api.send("PUT", path, {"course_codes": ["ENG5"]})
    assert (moved.json["name"], moved.json["course_code"]) == ("9B", "ENG5")
    same = await api.send("PUT", path, {})
    assert same.headers["ETag"] == moved.headers["ETag"]


async def test_deleted_class_is_gone(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(class_ids=(class_id,))
    deleted = await api.send("DELETE", f"/v1/classes/{class_id}")
    assert (deleted.status, deleted.body) == (204, b"")
    (await api.get(f"/v1/classes/{class_id}")).problem(404, "CLASS_NOT_FOUND")
    again = await api.send("DELETE", f"/v1/classes/{class_id}")
    again.problem(404, "CLASS_NOT_FOUND")
    assert (await api.get(f"/v1/classes/students/{student_id}")).json["class_ids"] == []


async def test_roster_is_the_same_for_the_owner_and_for_a_service(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student("Åsa", "Öberg", "asa@skola.se", class_ids=(class_id,))
    own = await api.get(f"/v1/classes/{class_id}/roster")
    assert own.json == {
        "students": [
            {
                "student_id": student_id,
                "first_name": "Åsa",
                "last_name": "Öberg",
                "full_legal_name": "Åsa Öberg",
                "email": "asa@skola.se",
            }
        ]
    }
    service = await api.internal(f"/v1/classes/{class_id}/roster")
    assert (service.status, service.json) == (200, own.json)


async def test_roster_needs_the_owner_or_a_valid_key(api: Api) -> None:
    path = f"/v1/classes/{await api.new_class()}/roster"
    (await api.get(path, user=None)).problem(401, "AUTHENTICATION_REQUIRED")
    (await api.get(path, user=OTHER)).problem(404, "CLASS_NOT_FOUND")
    wrong = {**SERVICE, "X-Internal-API-Key": "guess"}
    refused = await api.send("GET", path, user=TEACHER, headers=wrong)
    refused.problem(401, "AUTHENTICATION_REQUIRED")
    absent = await api.internal("/v1/classes/00000000-0000-7000-8000-000000000000/roster")
    absent.problem(404, "CLASS_NOT_FOUND")
