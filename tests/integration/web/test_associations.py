"""A batch's associations, for its teacher and for other services."""

from dataclasses import dataclass

import pytest

from rules.ids import new_id
from tests.integration.web.api import TEACHER, Api

MEMBERS = {
    "essay_id",
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
    (await api.send("POST", f"{batch.path}/confirm", body)).problem(409, "BATCH_CONFLICT")


async def test_one_bad_decision_spoils_all(api: Api, batch: Stored) -> None:
    stranger = await api.new_student("Stig")
    decisions = [
        {"essay_id": batch.essays[0], "confirmed": True},
        {"essay_id": str(new_id()), "confirmed": True},
        {"essay_id": batch.essays[1], "student_id": stranger, "confirmed": True},
    ]
    before = (await api.get(batch.path)).json
    reply = await api.send("POST", f"{batch.path}/confirm", {"associations": decisions})
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/associations/1/essay_id", "/associations/2/student_id"]
    assert (await api.get(batch.path)).json == before


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
    assert "confirm it" in early.problem(409, "BATCH_CONFLICT")["detail"]
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
    assert again.headers["ETag"] == reply.headers["ETag"]
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
