"""The UNKNOWN student over HTTP: shown, and nobody's to change."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.integration.store.builders import A_DAY, Stores
from tests.integration.web.api import OTHER, Api, Backend

PATH = "/v1/classes/students"


@dataclass(frozen=True)
class Known:
    class_id: str
    asa: str
    unknown: str

    @property
    def path(self) -> str:
        return f"{PATH}/{self.unknown}"


@pytest.fixture
async def known(api: Api, backend: Backend) -> Known:
    """Give a class with Åsa and with UNKNOWN, who has an essay."""
    assert isinstance(backend, Stores)
    class_id = await api.new_class()
    asa = await api.new_student(class_ids=(class_id,))
    batch_id, essays = await api.new_batch(class_id, None)
    await backend.elapse(A_DAY)
    await backend.timers.decide_due([UUID(batch_id)])
    decided = (await api.internal(f"/internal/v1/associations/essay/{essays[0]}")).json
    return Known(class_id, asa, decided["student_id"])


async def test_its_owner_sees_it_and_what_it_is(api: Api, known: Known) -> None:
    shown = (await api.get(known.path)).json
    assert (shown["is_placeholder"], shown["full_name"]) == (True, "UNKNOWN STUDENT")
    assert shown["email"] == f"unknown.{known.class_id}@huleedu.system"
    assert shown["class_ids"] == [known.class_id]
    assert (await api.get(f"{PATH}/{known.asa}")).json["is_placeholder"] is False
    (await api.get(known.path, user=OTHER)).problem(404, "STUDENT_NOT_FOUND")


async def test_its_class_has_it_among_its_students_only(api: Api, known: Known) -> None:
    read = (await api.get(f"/v1/classes/{known.class_id}")).json
    assert read["student_count"] == 1
    assert {s["id"]: s["is_placeholder"] for s in read["students"]} == {
        known.asa: False,
        known.unknown: True,
    }
    [listed] = (await api.get("/v1/classes")).json["classes"]
    assert listed["student_count"] == 1
    path = f"/v1/classes/{known.class_id}/roster"
    for roster in (await api.get(path), await api.internal(path)):
        assert [s["student_id"] for s in roster.json["students"]] == [known.asa]


@pytest.mark.parametrize(
    "body",
    [
        {"person_name": {"first_name": "Okänd", "last_name": "Elev"}},
        {"email": "okand@skola.example"},
        {"email": None},
        {"add_class_ids": ["{other}"]},
        {"remove_class_ids": ["{own}"]},
        {},
    ],
)
async def test_nobody_changes_it(api: Api, known: Known, body: dict[str, object]) -> None:
    names = {"{other}": await api.new_class("9B"), "{own}": known.class_id}
    filled = {
        member: [names[str(i)] for i in value] if isinstance(value, list) else value
        for member, value in body.items()
    }
    before = (await api.get(known.path)).json
    (await api.send("PUT", known.path, filled)).problem(409, "PLACEHOLDER_STUDENT")
    (await api.send("PUT", known.path, filled, user=OTHER)).problem(404, "STUDENT_NOT_FOUND")
    assert (await api.get(known.path)).json == before


async def test_nobody_deletes_it(api: Api, known: Known) -> None:
    (await api.send("DELETE", known.path)).problem(409, "PLACEHOLDER_STUDENT")
    (await api.send("DELETE", known.path, user=OTHER)).problem(404, "STUDENT_NOT_FOUND")
    assert (await api.get(known.path)).status == 200


async def test_it_stays_when_its_class_goes(api: Api, known: Known) -> None:
    assert (await api.send("DELETE", f"/v1/classes/{known.class_id}")).status == 204
    shown = (await api.get(known.path)).json
    assert (shown["is_placeholder"], shown["class_ids"]) == (True, [])
    (await api.send("DELETE", known.path)).problem(409, "PLACEHOLDER_STUDENT")


async def test_teacher_gives_it_an_essay_by_hand(api: Api, known: Known) -> None:
    batch_id, [essay] = await api.new_batch(known.class_id, known.asa)
    decision = {"essay_id": essay, "student_id": known.unknown, "confirmed": True}
    path = f"/v1/batches/{batch_id}/student-associations"
    done = await api.send("POST", f"{path}/confirm", {"associations": [decision]})
    assert done.json["associations_confirmed"] == 1
    [shown] = (await api.get(path)).json["associations"]
    assert (shown["student_id"], shown["student_name"]) == (known.unknown, "UNKNOWN STUDENT")
