"""A batch's associations, for its teacher and for other services."""

import re
from dataclasses import dataclass
from uuid import UUID

import pytest

from rules.ids import new_id
from tests.integration.store.builders import deliver, result, suggest
from tests.integration.web.api import TEACHER, Api

MEMBERS = {
    "essay_id",
    "filename",
    "suggestions",
    "suggested_student_id",
    "student_id",
    "student_name",
    "confidence_score",
    "match_reasons",
    "validation_status",
    "validation_method",
    "validated_by",
    "validated_at",
    "created_at",
    "confirm_by",
}


@dataclass(frozen=True)
class Stored:
    class_id: str
    asa: str
    bo: str
    batch_id: str
    essays: list[str]

    @property
    def path(self) -> str:
        return f"/v1/batches/{self.batch_id}/student-associations"


@pytest.fixture
async def batch(api: Api) -> Stored:
    """Give a batch of three essays: Åsa's, Bo's and nobody's."""
    class_id = await api.new_class()
    asa = await api.new_student("Åsa", "Öberg", class_ids=(class_id,))
    bo = await api.new_student("Bo", "Ek", class_ids=(class_id,))
    batch_id, essays = await api.new_batch(class_id, asa, bo, None)
    return Stored(class_id, asa, bo, batch_id, essays)


async def confirm(api: Api, batch: Stored, *decisions: dict[str, object]) -> dict[str, object]:
    reply = await api.send("POST", f"{batch.path}/confirm", {"associations": decisions})
    assert reply.status == 200, reply.body
    document: dict[str, object] = reply.json
    return document


async def test_batch_shows_what_was_suggested(api: Api, batch: Stored) -> None:
    shown = (await api.get(batch.path)).json
    assert (shown["batch_id"], shown["class_id"]) == (batch.batch_id, batch.class_id)
    by_essay = {one["essay_id"]: one for one in shown["associations"]}
    assert by_essay.keys() == set(batch.essays)
    first, nobody = by_essay[batch.essays[0]], by_essay[batch.essays[2]]
    assert first.keys() >= MEMBERS
    assert first["suggested_student_id"] == batch.asa
    assert first["student_id"] is None
    assert first["student_name"] == "Åsa Öberg"
    assert first["confidence_score"] == 0.9
    assert first["match_reasons"] == ["name_exact"]
    assert first["validation_status"] == "pending_validation"
    assert first["validation_method"] is None
    assert first["confirm_by"] == shown["confirm_by"]
    assert (nobody["suggested_student_id"], nobody["confidence_score"]) == (None, 0)


async def test_decisions_add_up_until_the_batch_is_confirmed(api: Api, batch: Stored) -> None:
    first, second, third = batch.essays
    some = await confirm(
        api,
        batch,
        {"essay_id": first, "confirmed": True},
        {"essay_id": second, "confirmed": False},
    )
    assert some == {
        "status": "partially_confirmed",
        "associations_confirmed": 1,
        "associations_rejected": 1,
        "associations_pending": 1,
    }
    rest = {"essay_id": third, "student_id": batch.bo, "confirmed": True}
    done = {
        "status": "confirmed",
        "associations_confirmed": 2,
        "associations_rejected": 1,
        "associations_pending": 0,
    }
    assert await confirm(api, batch, rest) == done
    assert await confirm(api, batch, rest) == done  # again: 200, and nothing changes

    by_essay = {one["essay_id"]: one for one in (await api.get(batch.path)).json["associations"]}
    assert by_essay[first]["validation_status"] == "confirmed"
    assert by_essay[first]["validation_method"] == "human"
    assert by_essay[first]["validated_by"] == "lärare-1"
    assert by_essay[first]["student_id"] == batch.asa
    assert by_essay[third]["student_id"] == batch.bo
    assert by_essay[third]["student_name"] == "Bo Ek"


async def test_contradiction_conflicts(api: Api, batch: Stored) -> None:
    await confirm(api, batch, {"essay_id": batch.essays[0], "confirmed": True})
    body = {"associations": [{"essay_id": batch.essays[0], "confirmed": False}]}
    reply = await api.send("POST", f"{batch.path}/confirm", body)
    problem = reply.problem(409, "BATCH_CONFLICT")
    detail = problem["detail"]
    assert problem["title"] == "Not possible as the essay stands"
    assert "decided otherwise, by a person" in detail
    assert f"PUT {batch.path}/{batch.essays[0]}" in detail


async def test_one_bad_decision_spoils_all(api: Api, batch: Stored) -> None:
    stranger = await api.new_student("Stig")
    decisions = [
        {"essay_id": batch.essays[0], "confirmed": True},
        {"essay_id": str(new_id()), "confirmed": True},
        {"essay_id": batch.essays[1], "student_id": stranger, "confirmed": True},
    ]
    before = (await api.get(batch.path)).json["associations"]
    reply = await api.send("POST", f"{batch.path}/confirm", {"associations": decisions})
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/associations/1/essay_id", "/associations/2/student_id"]
    assert (await api.get(batch.path)).json["associations"] == before


async def test_services_learn_what_is_decided(api: Api, batch: Stored) -> None:
    names = f"/internal/v1/batches/{batch.batch_id}/student-names"
    essay = f"/internal/v1/associations/essay/{batch.essays[0]}"
    assert (await api.internal(names)).json == []
    (await api.internal(essay)).problem(404, "ESSAY_NOT_FOUND")
    await confirm(api, batch, {"essay_id": batch.essays[0], "confirmed": True})
    decided = {
        "essay_id": batch.essays[0],
        "student_id": batch.asa,
        "student_person_name": {
            "first_name": "Åsa",
            "last_name": "Öberg",
            "legal_full_name": "Åsa Öberg",
        },
    }
    assert (await api.internal(names)).json == [decided]
    assert (await api.internal(essay)).json == decided


async def test_class_info_answers_by_the_ids_asked_for(api: Api, batch: Stored) -> None:
    shouted, unknown = batch.batch_id.upper(), str(new_id())
    path = "/internal/v1/batches/class-info"
    reply = await api.internal(f"{path}?batch_ids={shouted},%20{unknown}")
    assert reply.json == {
        shouted: {"class_id": batch.class_id, "class_name": "9A"},
        unknown: None,
    }
    assert (await api.internal(path)).json == {}
    assert (await api.internal(f"{path}?batch_ids=")).json == {}


async def test_class_info_is_bounded(api: Api) -> None:
    ids = [str(new_id()) for _ in range(1000)]
    path = "/internal/v1/batches/class-info"
    whole = await api.internal(f"{path}?batch_ids={'%2C'.join(ids)}")
    assert (whole.status, whole.json) == (200, dict.fromkeys(ids))
    over = await api.internal(f"{path}?batch_ids={','.join([*ids, str(new_id())])}")
    over.problem(400, "VALIDATION_ERROR")
    bad = await api.internal(f"{path}?batch_ids={ids[0]},x")
    bad.problem(400, "VALIDATION_ERROR")
    assert bad.pointers == ["/batch_ids/1"]


# --- corrections -------------------------------------------------------------------------------


async def test_decision_is_corrected(api: Api, batch: Stored) -> None:
    first = batch.essays[0]
    path = f"{batch.path}/{first}"
    early = await api.send("PUT", path, {"student_id": batch.bo})
    problem = early.problem(409, "BATCH_CONFLICT")
    assert "confirm it" in problem["detail"]
    assert problem["title"] == "Not possible as the essay stands"
    await confirm(api, batch, {"essay_id": first, "confirmed": True})
    reply = await api.send("PUT", path, {"student_id": batch.bo})
    assert reply.status == 200
    shown = reply.json
    assert shown.keys() >= MEMBERS
    assert (shown["essay_id"], shown["student_id"], shown["student_name"]) == (
        first,
        batch.bo,
        "Bo Ek",
    )
    assert (shown["validation_status"], shown["validation_method"]) == ("confirmed", "human")
    assert (shown["suggested_student_id"], shown["confidence_score"]) == (batch.asa, 0.9)
    again = await api.send("PUT", path, {"student_id": batch.bo})
    assert (again.status, again.json) == (200, shown)
    read = await api.get(path)
    assert read.json == shown
    tags = {one.headers["ETag"] for one in (reply, again, read)}
    assert len(tags) == 1
    nobody = await api.send("PUT", f"{path}/", {"student_id": None})
    assert nobody.json["validation_status"] == "rejected"
    assert (nobody.json["student_id"], nobody.json["student_name"]) == (None, "Åsa Öberg")
    assert nobody.headers["ETag"] != reply.headers["ETag"]
    names = await api.internal(f"/internal/v1/batches/{batch.batch_id}/student-names")
    assert names.json == []


async def test_history_of_an_essay(api: Api, batch: Stored) -> None:
    first = batch.essays[0]
    path = f"{batch.path}/{first}"
    assert (await api.get(f"{path}/history")).json == {"history": []}
    await confirm(api, batch, {"essay_id": first, "confirmed": True})
    for student_id in (batch.bo, None):
        assert (await api.send("PUT", path, {"student_id": student_id})).status == 200
    history = (await api.get(f"{path}/history/")).json["history"]
    members = {"at", "by", "method", "student_id", "validation_status"}
    assert all(one.keys() == members for one in history)
    assert [(one["validation_status"], one["student_id"]) for one in history] == [
        ("confirmed", batch.asa),
        ("confirmed", batch.bo),
        ("rejected", None),
    ]
    assert {(one["method"], one["by"]) for one in history} == {("human", TEACHER)}
    assert [one["at"] for one in history] == sorted(one["at"] for one in history)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/student_id"),
        ({"student_id": "Bo"}, "/student_id"),
        ({"student_id": 7}, "/student_id"),
        ({"student_id": str(new_id())}, "/student_id"),
        ([], ""),
    ],
)
async def test_correction_that_cannot_be_is_pointed_at(
    api: Api, batch: Stored, body: object, pointer: str
) -> None:
    first = batch.essays[0]
    await confirm(api, batch, {"essay_id": first, "confirmed": True})
    reply = await api.send("PUT", f"{batch.path}/{first}", body)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


async def test_essay_of_no_batch_is_absent(api: Api, batch: Stored) -> None:
    path = f"{batch.path}/{new_id()}"
    for method, at, body in (
        ("PUT", path, {"student_id": None}),
        ("GET", f"{path}/history", None),
    ):
        (await api.send(method, at, body)).problem(404, "ESSAY_NOT_FOUND")
    (await api.send("PUT", f"{batch.path}/nonsense", {"student_id": None})).problem(
        400, "VALIDATION_ERROR"
    )


# --- what the teacher sees -----------------------------------------------------------------------


async def test_an_essay_shows_its_file_and_every_usable_suggestion(api: Api, batch: Stored) -> None:
    found = result(
        suggest(UUID(batch.bo), 0.9, ["name_exact"]),
        suggest(new_id(), 0.8),
        suggest(UUID(batch.asa), 0.4, ["name_partial"]),
        filename="Elevtext 1.docx",
    )
    stranger = await api.new_student("Stig")
    other = result(suggest(UUID(stranger)), suggest(UUID(batch.asa), 0.3))
    delivery = deliver(UUID(batch.class_id), found, other)
    await api.setup.store.inbox.store_suggestions([delivery])
    path = f"/v1/batches/{delivery.message.batch_id}/student-associations"
    reply = await api.get(f"{path}/{found.essay_id}")
    assert reply.json.keys() == MEMBERS
    assert reply.json["filename"] == "Elevtext 1.docx"
    asa = {
        "student_id": batch.asa,
        "student_name": "Åsa Öberg",
        "confidence_score": 0.4,
        "match_reasons": ["name_partial"],
    }
    assert reply.json["suggestions"] == [
        {
            "student_id": batch.bo,
            "student_name": "Bo Ek",
            "confidence_score": 0.9,
            "match_reasons": ["name_exact"],
        },
        asa,
    ]
    shown = {one["essay_id"]: one for one in (await api.get(path)).json["associations"]}
    assert shown[str(found.essay_id)] == reply.json
    assert [s["student_id"] for s in shown[str(other.essay_id)]["suggestions"]] == [batch.asa]
    (await api.get(f"{path}/{new_id()}")).problem(404, "ESSAY_NOT_FOUND")
    (await api.get(f"{path}/x")).problem(400, "VALIDATION_ERROR")
    (await api.get(f"{path}/confirm")).problem(405, "METHOD_NOT_ALLOWED")


async def test_a_tag_changes_whenever_the_answer_does(api: Api, batch: Stored) -> None:
    one = f"{batch.path}/{batch.essays[0]}"

    async def tags() -> list[str]:
        found = [(await api.get(path)).headers["ETag"] for path in (batch.path, one)]
        assert all(re.fullmatch(r'"[0-9a-f]{32}"', tag) for tag in found)
        return found

    before = await tags()
    assert await tags() == before
    name = {"first_name": "Eva", "last_name": "Ny"}
    await api.send("PUT", f"/v1/classes/students/{batch.asa}", {"person_name": name})
    renamed = await tags()
    assert [a != b for a, b in zip(before, renamed, strict=True)] == [True, True]
    await confirm(api, batch, {"essay_id": batch.essays[1], "confirmed": True})
    decided = await tags()
    assert [a != b for a, b in zip(renamed, decided, strict=True)] == [True, False]
    head = await api.send("HEAD", batch.path)
    assert (head.status, head.headers["ETag"]) == (200, decided[0])


async def test_a_batch_tells_the_time_and_comes_in_pages(api: Api, batch: Stored) -> None:
    whole = (await api.get(batch.path)).json
    assert whole["pagination"] == {"limit": None, "returned": 3, "next_cursor": None}
    assert (whole["closed_at"], whole["server_time"] < whole["confirm_by"]) == (None, True)
    first = (await api.get(f"{batch.path}?limit=2")).json
    cursor = first["pagination"]["next_cursor"]
    assert first["pagination"] == {"limit": 2, "returned": 2, "next_cursor": cursor}
    last = (await api.get(f"{batch.path}?limit=2&cursor={cursor}")).json
    assert last["pagination"] == {"limit": 2, "returned": 1, "next_cursor": None}
    assert first["associations"] + last["associations"] == whole["associations"]
    assert last["confirm_by"] == whole["confirm_by"]
    for query, pointer in (("limit=0", "/limit"), ("limit=101", "/limit"), ("cursor=x", "/cursor")):
        reply = await api.get(f"{batch.path}?{query}")
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == [pointer]


async def test_a_teacher_sees_what_waits_and_by_when(api: Api, batch: Stored) -> None:
    closed, [essay] = await api.new_batch(batch.class_id, batch.asa)
    done = {"associations": [{"essay_id": essay, "confirmed": True}]}
    await api.send("POST", f"/v1/batches/{closed}/student-associations/confirm", done)
    listed = (await api.get("/v1/batches")).json
    waiting, latest = listed["batches"]
    shown = (await api.get(batch.path)).json
    assert waiting == {
        "batch_id": batch.batch_id,
        "class_id": batch.class_id,
        "class_name": "9A",
        "course_code": "SV1",
        "state": "pending",
        "associations_total": 3,
        "associations_pending": 3,
        "associations_unmatched": 1,
        "confirm_by": shown["confirm_by"],
        "created_at": waiting["created_at"],
        "closed_at": None,
    }
    assert (latest["batch_id"], latest["state"]) == (closed, "closed")
    assert (
        latest["closed_at"]
        == (await api.get(f"/v1/batches/{closed}/student-associations")).json["closed_at"]
    )
    assert listed["server_time"] >= latest["closed_at"]
    assert listed["pagination"] == {"limit": 20, "returned": 2, "next_cursor": None}
    first = (await api.get("/v1/batches?limit=1")).json
    cursor = first["pagination"]["next_cursor"]
    rest = (await api.get(f"/v1/batches?limit=1&cursor={cursor}")).json
    assert first["batches"] + rest["batches"] == listed["batches"]
    for query, found in (
        ("state=closed", [latest]),
        ("state=pending", [waiting]),
        ("state=closed,pending", [waiting, latest]),
        ("state=", [waiting, latest]),
        (f"class_id={batch.class_id}&state=closed", [latest]),
        (f"class_id={new_id()}", []),
    ):
        assert (await api.get(f"/v1/batches?{query}")).json["batches"] == found


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("state=open", "/state/0"),
        ("state=pending,x", "/state/1"),
        ("class_id=x", "/class_id"),
        ("limit=101", "/limit"),
        ("cursor=AQ", "/cursor"),
    ],
)
async def test_a_list_that_cannot_be_read(api: Api, query: str, pointer: str) -> None:
    reply = await api.get(f"/v1/batches?{query}")
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


async def test_the_cursor_of_another_list_is_none(api: Api, batch: Stored) -> None:
    first = (await api.get(f"{batch.path}?limit=1")).json
    cursor = first["pagination"]["next_cursor"]
    (await api.get(f"/v1/batches?cursor={cursor}")).problem(400, "VALIDATION_ERROR")
    other, _ = await api.new_batch(batch.class_id, batch.asa)
    reply = await api.get(f"/v1/batches/{other}/student-associations?cursor={cursor}")
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/cursor"]


async def test_courses_are_the_reference_data(api: Api) -> None:
    assert (await api.get("/v1/courses")).json == {
        "courses": [
            {"course_code": "ENG5", "name": "English 5", "language": "en"},
            {"course_code": "ENG6", "name": "English 6", "language": "en"},
            {"course_code": "ENG7", "name": "English 7", "language": "en"},
            {"course_code": "SV1", "name": "Svenska 1", "language": "sv"},
            {"course_code": "SV2", "name": "Svenska 2", "language": "sv"},
            {"course_code": "SV3", "name": "Svenska 3", "language": "sv"},
        ]
    }


# --- confirming ----------------------------------------------------------------------------------


async def test_confirming_by_confidence_and_for_nobody(api: Api, batch: Stored) -> None:
    path = f"{batch.path}/confirm"
    body: dict[str, object] = {"confirm_suggested": {"min_confidence": 0.95}}
    reply = await api.send("POST", path, body)
    assert (reply.status, reply.json["associations_pending"]) == (200, 3)
    body = {
        "associations": [
            {"essay_id": batch.essays[0], "confirmed": False},
            {"essay_id": batch.essays[2], "confirmed": True, "student_id": None},
        ],
        "confirm_suggested": {"min_confidence": 0.9},
    }
    for _ in range(2):
        assert (await api.send("POST", path, body)).json == {
            "status": "confirmed",
            "associations_confirmed": 2,
            "associations_rejected": 1,
            "associations_pending": 0,
        }
    shown = {one["essay_id"]: one for one in (await api.get(batch.path)).json["associations"]}
    assert [shown[essay]["validation_status"] for essay in batch.essays] == [
        "rejected",
        "confirmed",
        "confirmed",
    ]
    assert shown[batch.essays[2]]["student_name"] == "UNKNOWN STUDENT"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/associations"]),
        ({"associations": []}, ["/associations"]),
        (
            {"associations": [{}], "confirm_suggested": {"min_confidence": 2}},
            [
                "/associations/0/essay_id",
                "/associations/0/confirmed",
                "/confirm_suggested/min_confidence",
            ],
        ),
    ],
)
async def test_a_body_is_refused_with_all_its_faults(
    api: Api, batch: Stored, body: dict[str, object], pointers: list[str]
) -> None:
    reply = await api.send("POST", f"{batch.path}/confirm", body)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == pointers


# --- for other services --------------------------------------------------------------------------


async def test_services_learn_how_far_the_decisions_are(api: Api, batch: Stored) -> None:
    path = "/internal/v1/batches/validation-status"
    shouted, unknown = batch.batch_id.upper(), str(new_id())
    await confirm(api, batch, {"essay_id": batch.essays[0], "confirmed": True})
    reply = await api.internal(f"{path}?batch_ids={shouted},{unknown}")
    assert reply.json == {
        shouted: {
            "batch_id": batch.batch_id,
            "deviation_count": 2,
            "auto_confirm_deadline": (await api.get(batch.path)).json["confirm_by"],
            "total_associations": 3,
            "confirmed_associations": 1,
        },
        unknown: None,
    }
    await confirm(
        api, batch, *({"essay_id": essay, "confirmed": False} for essay in batch.essays[1:])
    )
    done = (await api.internal(f"{path}?batch_ids={batch.batch_id}")).json[batch.batch_id]
    assert (done["deviation_count"], done["auto_confirm_deadline"]) == (0, None)
    assert done["confirmed_associations"] == 1
    assert (await api.internal(path)).json == {}
    (await api.internal(f"{path}?batch_ids=x")).problem(400, "VALIDATION_ERROR")
    over = ",".join(str(new_id()) for _ in range(1001))
    (await api.internal(f"{path}?batch_ids={over}")).problem(400, "VALIDATION_ERROR")
    (await api.get(path)).problem(401, "AUTHENTICATION_REQUIRED")
