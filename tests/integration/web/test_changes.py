"""What changed, over HTTP: cursors, owners, histories, and what is not told."""

import dataclasses
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from rules.ids import new_id
from rules.models import Policy
from tests.integration.web.api import OTHER, TEACHER, Api, Reply, Setup, serving
from tests.support.stores import memory_stores
from web.cursors import encode

CHANGES: Final = "/v1/changes"
INTERNAL: Final = "/internal/v1/changes"


async def changes(api: Api, query: str = "", user: str = TEACHER) -> Any:  # noqa: ANN401  # JSON
    """Give numbers to what there is, and read a page."""
    while await api.setup.store.feed.number():
        pass
    reply = await api.get(f"{CHANGES}{query}", user)
    assert reply.status == 200, reply.body
    return reply.json


async def rename(api: Api, class_id: str, name: str) -> Reply:
    return await api.send("PUT", f"/v1/classes/{class_id}", {"name": name})


async def test_changes_are_told_page_by_page_and_then_as_they_come(api: Api) -> None:
    empty = await changes(api)
    assert (empty["changes"], empty["more"]) == ([], False)
    class_id = await api.new_class()
    await rename(api, class_id, "9B")
    first = await changes(api, f"?limit=1&cursor={empty['next_cursor']}")
    assert ([one["kind"] for one in first["changes"]], first["more"]) == (["created"], True)
    second = await changes(api, f"?cursor={first['next_cursor']}")
    assert ([one["kind"] for one in second["changes"]], second["more"]) == (["updated"], False)
    assert (await changes(api, f"?cursor={second['next_cursor']}"))["changes"] == []
    await api.send("DELETE", f"/v1/classes/{class_id}")
    [last] = (await changes(api, f"?cursor={second['next_cursor']}"))["changes"]
    assert (last["kind"], last["data"], last["before"]) == (
        "deleted",
        {**first["changes"][0]["data"], "name": "9B"},
        None,
    )


async def test_a_change_says_what_who_and_of_which_request(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(email="asa@skola.example", class_ids=(class_id,))
    reply = await rename(api, class_id, "9B")
    made, student, joined, renamed = (await changes(api))["changes"]
    assert renamed | {"at": None, "sequence": None} == {
        "sequence": None,
        "at": None,
        "kind": "updated",
        "entity": "class",
        "id": class_id,
        "external_id": None,
        "owner": TEACHER,
        "by": TEACHER,
        "correlation_id": reply.headers["X-Correlation-ID"],
        "version": 2,
        "data": {**made["data"], "external_id": None, "name": "9B"},
        "before": {**made["data"], "external_id": None, "name": "9A"},
    }
    assert student["data"]["email"] == "asa@skola.example"
    assert (joined["entity"], joined["id"], joined["data"]) == (
        "enrollment",
        student_id,
        {"class_id": class_id},
    )


async def test_what_other_systems_call_it_is_told_also_of_what_is_deleted(api: Api) -> None:
    body = {"name": "9A", "course_codes": ["SV1"], "external_id": "sis-1"}
    class_id = (await api.send("POST", "/v1/classes", body)).json["id"]
    student = {"person_name": {"first_name": "Bo"}, "external_id": "elev-1"}
    student_id = (await api.send("POST", "/v1/classes/students", student)).json["id"]
    await rename(api, class_id, "9B")
    changed = {"external_id": "elev-2"}
    await api.send("PUT", f"/v1/classes/students/{student_id}", changed)
    await api.send("DELETE", f"/v1/classes/{class_id}")
    await api.send("DELETE", f"/v1/classes/students/{student_id}")
    found = (await changes(api))["changes"]
    assert [(one["kind"], one["entity"], one["external_id"]) for one in found] == [
        ("created", "class", "sis-1"),
        ("created", "student", "elev-1"),
        ("updated", "class", "sis-1"),
        ("updated", "student", "elev-2"),
        ("deleted", "class", "sis-1"),
        ("deleted", "student", "elev-2"),
    ]


async def test_an_essay_is_told_with_its_batch_and_then_its_decision(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(class_ids=(class_id,))
    batch_id, [essay_id] = await api.new_batch(class_id, student_id)
    before = await changes(api)
    [essay] = [one for one in before["changes"] if one["entity"] == "association"]
    assert (essay["id"], essay["kind"], essay["version"]) == (essay_id, "created", None)
    assert essay["data"] == {
        "batch_id": batch_id,
        "class_id": class_id,
        "suggested_student_id": student_id,
        "confidence_score": 0.9,
        "student_id": None,
        "validation_status": "pending_validation",
        "validation_method": None,
        "validated_by": None,
    }
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    await api.send("POST", path, {"associations": [{"essay_id": essay_id, "confirmed": True}]})
    [decided] = (await changes(api, f"?cursor={before['next_cursor']}"))["changes"]
    assert decided["data"] == {
        "class_id": class_id,
        "student_id": student_id,
        "validation_status": "confirmed",
        "validation_method": "human",
        "validated_by": TEACHER,
    }
    assert decided["before"]["validation_status"] == "pending_validation"


async def test_nobody_is_told_what_others_change_but_services_are(api: Api) -> None:
    mine, others = await api.new_class(), await api.new_class(user=OTHER)
    assert [one["id"] for one in (await changes(api))["changes"]] == [mine]
    assert [one["id"] for one in (await changes(api, user=OTHER))["changes"]] == [others]
    every = (await api.internal(INTERNAL)).json
    assert [(one["id"], one["owner"]) for one in every["changes"]] == [
        (mine, TEACHER),
        (others, OTHER),
    ]
    of_other = (await api.internal(f"{INTERNAL}?owner={quote(OTHER)}&limit=1000")).json
    assert [one["id"] for one in of_other["changes"]] == [others]
    assert (await api.internal(f"{INTERNAL}?owner=nobody")).json["changes"] == []


async def test_from_now_on_means_nothing_of_before(api: Api) -> None:
    await api.new_class()
    await changes(api)
    now = await changes(api, "?cursor=now")
    assert (now["changes"], now["more"]) == ([], False)
    class_id = await api.new_class()
    seen = await changes(api, f"?cursor={now['next_cursor']}")
    assert [one["id"] for one in seen["changes"]] == [class_id]


@pytest.mark.parametrize("path", [CHANGES, INTERNAL])
async def test_a_cursor_of_another_database_is_gone_and_a_broken_one_is_wrong(
    api: Api, path: str
) -> None:
    async def ask(cursor: str) -> Reply:
        asked = f"{path}?cursor={cursor}"
        return await (api.internal(asked) if path == INTERNAL else api.get(asked))

    epoch = str((await api.setup.store.feed.end()).epoch)
    for gone in ((str(new_id()), 0), (epoch, 2**63 - 1)):
        reply = await ask(encode(("changes", *gone)))
        document = reply.problem(410, "RESYNC_REQUIRED")
        assert "anew" in document["detail"]
    for broken in (
        "NOW",
        "AQ",
        encode(("changes", epoch)),
        encode(("changes", epoch, -1)),
        encode(("changes", epoch, 2**63)),
        encode(("changes", epoch, True)),
        encode(("classes", epoch, 0)),
        encode((epoch, 0)),
    ):
        reply = await ask(broken)
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == ["/cursor"]


@pytest.mark.parametrize(
    ("path", "query", "pointer"),
    [
        (CHANGES, "limit=101", "/limit"),
        (CHANGES, "limit=0", "/limit"),
        (INTERNAL, "limit=1001", "/limit"),
        (INTERNAL, f"owner={'x' * 256}", "/owner"),
        (INTERNAL, "owner=a&owner=b", "/owner"),
        (INTERNAL, "owner=%00", "/owner"),
        (CHANGES, "cursor=now&cursor=now", "/cursor"),
    ],
)
async def test_what_is_asked_for_wrongly_is_named(
    api: Api, path: str, query: str, pointer: str
) -> None:
    asked = f"{path}?{query}"
    reply = await (api.internal(asked) if path == INTERNAL else api.get(asked))
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


# --- histories -----------------------------------------------------------------------------------


async def test_a_history_says_who_did_what_and_is_read_in_pages(api: Api) -> None:
    class_id = await api.new_class()
    reply = await rename(api, class_id, "9B")
    await api.send("DELETE", f"/v1/classes/{class_id}")
    path = f"/v1/classes/{class_id}/history"
    made, renamed, deleted = (await api.get(path)).json["history"]
    assert [one["kind"] for one in (made, renamed, deleted)] == ["created", "updated", "deleted"]
    assert renamed | {"at": None} == {
        "at": None,
        "by": TEACHER,
        "kind": "updated",
        "entity": "class",
        "class_id": class_id,
        "before": {**made["after"], "external_id": None},
        "after": {**made["after"], "external_id": None, "name": "9B"},
        "correlation_id": reply.headers["X-Correlation-ID"],
    }
    first = (await api.get(f"{path}?limit=2")).json
    cursor = first["pagination"]["next_cursor"]
    second = (await api.get(f"{path}?limit=2&cursor={cursor}")).json
    assert first["history"] + second["history"] == [made, renamed, deleted]
    assert second["pagination"] == {"limit": 2, "returned": 1, "next_cursor": None}


async def test_the_history_of_a_student_has_the_classes_that_it_joined_and_left(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student(class_ids=(class_id,))
    await api.send("DELETE", f"/v1/classes/{class_id}")
    found = (await api.get(f"/v1/classes/students/{student_id}/history")).json["history"]
    assert [(one["entity"], one["kind"], one["class_id"]) for one in found] == [
        ("student", "created", None),
        ("enrollment", "created", class_id),
        ("enrollment", "deleted", class_id),
    ]


async def test_what_was_deleted_has_a_history_for_its_owner_alone(api: Api) -> None:
    class_id = await api.new_class()
    student_id = await api.new_student()
    await api.send("DELETE", f"/v1/classes/{class_id}")
    await api.send("DELETE", f"/v1/classes/students/{student_id}")
    for path, code in (
        (f"/v1/classes/{class_id}/history", "CLASS_NOT_FOUND"),
        (f"/v1/classes/students/{student_id}/history", "STUDENT_NOT_FOUND"),
    ):
        assert (await api.get(path)).status == 200
        (await api.get(path, OTHER)).problem(404, code)


async def test_a_place_in_another_history_is_none_in_this_one(api: Api) -> None:
    one, other = await api.new_class(), await api.new_class()
    await rename(api, one, "9B")
    page = (await api.get(f"/v1/classes/{one}/history?limit=1")).json
    cursor = page["pagination"]["next_cursor"]
    reply = await api.get(f"/v1/classes/{other}/history?cursor={cursor}")
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/cursor"]


async def test_where_nothing_is_remembered_there_is_nothing_at_these_paths(tmp_path: Path) -> None:
    async with memory_stores(Policy(), changes=False) as stores:
        setup = dataclasses.replace(Setup(stores), changes=False)
        async with serving(setup, tmp_path) as api:
            class_id, student_id = await api.new_class(), await api.new_student()
            for path in (
                CHANGES,
                f"{CHANGES}?cursor=now",
                f"/v1/classes/{class_id}/history",
                f"/v1/classes/students/{student_id}/history",
            ):
                (await api.get(path)).problem(404, "NOT_FOUND")
            (await api.internal(INTERNAL)).problem(404, "NOT_FOUND")
