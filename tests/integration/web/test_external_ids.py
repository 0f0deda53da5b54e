"""External ids over HTTP: set, kept, cleared, found, taken."""

from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.integration.web.api import OTHER, Api, Reply

CLASSES: Final = "/v1/classes"
STUDENTS: Final = "/v1/classes/students"
PATHS: Final = [CLASSES, STUDENTS]
EMOJI: Final = "\N{GRINNING FACE}"


def body_of(path: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the body of what is created at a path, with these members."""
    if path == CLASSES:
        return {"name": "9A", "course_codes": ["SV1"], **members}
    return {"person_name": {"first_name": "Åsa", "last_name": "Öberg"}, **members}


async def create(api: Api, path: str, external_id: object, **more: Any) -> Reply:  # noqa: ANN401
    return await api.send("POST", path, body_of(path, external_id=external_id), **more)


async def made(api: Api, path: str, external_id: object) -> str:
    """Create something; return where it is."""
    reply = await create(api, path, external_id)
    assert reply.status == 201, reply.body
    return f"{path}/{reply.json['id']}"


async def found(api: Api, path: str, external_id: str, **more: Any) -> list[str]:  # noqa: ANN401
    reply = await api.get(f"{path}?external_id={quote(external_id)}", **more)
    assert reply.status == 200, reply.body
    [of_list] = set(reply.json) - {"pagination"}
    assert reply.json["pagination"]["next_cursor"] is None
    return [f"{path}/{one['id']}" for one in reply.json[of_list]]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("4711", "4711"),
        (" \ufeff47 11\u00a0\n", "47 11"),
        ("A\u030a/?&\u202e<b>", "A\u030a/?&\u202e<b>"),
        (EMOJI * 255, EMOJI * 255),
        ("", None),
        (" \t", None),
        (None, None),
    ],
)
async def test_it_is_answered_and_found_as_it_was_given(
    api: Api, path: str, given: str | None, stored: str | None
) -> None:
    reply = await create(api, path, given)
    assert (reply.status, reply.json["external_id"]) == (201, stored)
    read = await api.get(reply.headers["Location"])
    assert (read.json["external_id"], read.headers["ETag"]) == (stored, reply.headers["ETag"])
    if stored:
        assert await found(api, path, stored) == [reply.headers["Location"]]
        assert await found(api, path, stored, user=OTHER) == []
    # Blanks around it are nothing, and an empty one is no condition.
    for around in (" 4711\u00a0",) * (stored == "4711") + (" ",):
        assert await found(api, path, around) == [reply.headers["Location"]]


async def test_a_class_shows_its_students_with_theirs(api: Api) -> None:
    class_path, student_path = await made(api, CLASSES, "9A"), await made(api, STUDENTS, "1")
    joins = {"add_class_ids": [class_path.rpartition("/")[2]]}
    assert (await api.send("PUT", student_path, joins)).json["external_id"] == "1"
    shown = (await api.get(class_path)).json
    assert (shown["external_id"], shown["students"][0]["external_id"]) == ("9A", "1")


@pytest.mark.parametrize("path", PATHS)
async def test_absent_keeps_and_null_clears(api: Api, path: str) -> None:
    one = await made(api, path, "1")
    first = await api.send("PUT", one, body_of(path))
    assert first.json["external_id"] == "1"
    changed = await api.send("PUT", one, {"external_id": "2"})
    assert (changed.status, changed.json["external_id"]) == (200, "2")
    assert changed.headers["ETag"] != first.headers["ETag"]
    for nothing in (None, ""):
        await api.send("PUT", one, {"external_id": "3"})
        cleared = await api.send("PUT", one, {"external_id": nothing})
        assert (cleared.status, cleared.json["external_id"]) == (200, None)
    stale = {"If-Match": first.headers["ETag"]}
    refused = await api.send("PUT", one, {"external_id": "4"}, headers=stale)
    refused.problem(412, "PRECONDITION_FAILED")
    assert (await api.get(one)).json["external_id"] is None


@pytest.mark.parametrize("path", PATHS)
async def test_a_taken_one_is_a_conflict_that_names_who_has_it(api: Api, path: str) -> None:
    holder, other = await made(api, path, "1"), await made(api, path, None)
    member, absent = ("class_id", "student_id") if path == CLASSES else ("student_id", "class_id")
    for refused in (
        await create(api, path, "1"),
        await create(api, path, " 1"),
        await api.send("POST", f"{path}?dry_run=true", body_of(path, external_id="1")),
        await api.send("PUT", other, {"external_id": "1"}),
        await api.send("PUT", f"{other}?dry_run=true", {"external_id": "1"}),
    ):
        problem = refused.problem(409, "EXTERNAL_ID_CONFLICT")
        assert f"{path}/{problem[member]}" == holder
        assert absent not in problem
    assert (await create(api, path, "1", user=OTHER)).status == 201
    assert (await api.send("DELETE", holder)).status == 204
    assert (await api.send("PUT", other, {"external_id": "1"})).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_a_dry_run_takes_none(api: Api, path: str) -> None:
    other = await made(api, path, None)
    body = body_of(path, external_id="1")
    assert (await api.send("POST", f"{path}?dry_run=true", body)).status == 201
    tried = await api.send("PUT", f"{other}?dry_run=true", {"external_id": "1"})
    assert (tried.status, tried.json["external_id"]) == (200, "1")
    assert await found(api, path, "1") == []
    assert (await create(api, path, "1")).status == 201


@pytest.mark.parametrize("path", PATHS)
async def test_a_key_is_free_again_after_a_conflict(api: Api, path: str) -> None:
    holder, key = await made(api, path, "1"), {"Idempotency-Key": "k"}
    (await create(api, path, "1", headers=key)).problem(409, "EXTERNAL_ID_CONFLICT")
    assert (await api.send("DELETE", holder)).status == 204
    first, second = [await create(api, path, "1", headers=key) for _ in range(2)]
    assert (first.status, second.status, first.body) == (201, 201, second.body)
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "external_id", ["a\x00b", "a\nb", "\x7f", "x" * 256, " " * 256, 1, True, []]
)
async def test_what_is_none_is_refused_with_a_pointer(
    api: Api, path: str, external_id: object
) -> None:
    one = await made(api, path, None)
    for refused in (
        await create(api, path, external_id),
        await api.send("PUT", one, {"external_id": external_id}),
    ):
        refused.problem(400, "VALIDATION_ERROR")
        assert refused.pointers == ["/external_id"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query", ["external_id=a%00b", f"external_id={'x' * 256}", "external_id=a&external_id=b"]
)
async def test_what_cannot_be_looked_for_is_refused(api: Api, path: str, query: str) -> None:
    refused = await api.get(f"{path}?{query}")
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/external_id"]


async def test_of_two_that_become_one_the_other_ones_is_kept(api: Api) -> None:
    gone, into = await made(api, STUDENTS, "1"), await made(api, STUDENTS, None)
    merged = await api.send("POST", f"{gone}/merge", {"into": into.rpartition("/")[2]})
    assert (merged.status, merged.json["external_id"]) == (200, "1")
    assert await found(api, STUDENTS, "1") == [into]


async def test_a_class_is_paged_as_a_list_of_one(api: Api) -> None:
    one = await made(api, CLASSES, "1")
    for query, expected in (("limit=1", [one]), ("offset=1", []), ("limit=1&cursor=", [one])):
        reply = (await api.get(f"{CLASSES}?external_id=1&{query}")).json
        assert [f"{CLASSES}/{c['id']}" for c in reply["classes"]] == expected
    await made(api, CLASSES, "2")
    behind_second = (await api.get(f"{CLASSES}?limit=1")).json["pagination"]["next_cursor"]
    for external_id, count in (("1", 1), ("2", 0)):
        reply = (await api.get(f"{CLASSES}?external_id={external_id}&cursor={behind_second}")).json
        assert len(reply["classes"]) == count
