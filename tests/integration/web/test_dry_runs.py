"""`?dry_run=true`: the same checks and the same answer, and nothing is done."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import pytest

from rules.ids import new_id
from tests.integration.store.builders import Stores
from tests.integration.web.api import OTHER, Api, Reply
from tests.integration.web.importing import IMPORTS, make_ready, new_plan
from tests.integration.web.requests import file_of, headers_of
from tests.support.conformance import operation_at
from tests.support.past import Remembered, World
from web.operations import Tag
from web.table import OPERATIONS

DRY: Final = "?dry_run=true"
CLASSES: Final = "/v1/classes"
STUDENTS: Final = "/v1/classes/students"
IMPORT: Final = "/v1/imports/{import_id}"
BATCH: Final = "/v1/batches/{batch_id}/student-associations"

#: A request for each operation that can be tried, which would change something.
REQUESTS: Final[dict[tuple[str, str], Any]] = {
    ("POST", CLASSES): {"name": "9B", "course_codes": ["ENG5"]},
    ("PUT", f"{CLASSES}/{{class_id}}"): {"name": "9B"},
    ("DELETE", f"{CLASSES}/{{class_id}}"): None,
    ("POST", STUDENTS): {
        "person_name": {"first_name": "Bo", "last_name": "Ek"},
        "class_ids": ["{class_id}"],
    },
    ("PUT", f"{STUDENTS}/{{student_id}}"): {"email": None, "remove_class_ids": ["{class_id}"]},
    ("POST", f"{STUDENTS}/{{student_id}}/merge"): {"into": "{other_id}"},
    ("POST", f"{BATCH}/confirm"): {
        "associations": [{"essay_id": "{pending_id}", "confirmed": True}]
    },
    ("PUT", f"{BATCH}/{{essay_id}}"): {"student_id": None},
    ("POST", f"{CLASSES}/{{class_id}}/roster/import"): None,
    ("POST", IMPORTS): None,
    ("POST", f"{IMPORT}/apply"): None,
    ("POST", f"{IMPORT}/undo"): None,
}
WAYS: Final = sorted(REQUESTS)

#: What differs between any two answers.
OWN: Final = frozenset(
    {"id", "created_at", "updated_at", "expires_at", "validated_at", "instance", "correlation_id"}
)
JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Owned:
    """A class with two students, and a batch with a decided and a pending essay."""

    class_id: str
    student_id: str
    other_id: str
    batch_id: str
    essay_id: str
    pending_id: str
    import_id: str

    def fill(self, value: object) -> Any:  # noqa: ANN401  # JSON in, JSON out
        if isinstance(value, str):
            return value.format(**vars(self))
        if isinstance(value, dict):
            return {key: self.fill(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill(member) for member in value]
        return value


@pytest.fixture
async def owned(api: Api) -> Owned:
    class_id = await api.new_class()
    student_id = await api.new_student(email="asa@skola.se", class_ids=(class_id,))
    other_id = await api.new_student("Ann", "Ek", class_ids=(class_id,))
    batch_id, (essay_id, pending_id) = await api.new_batch(class_id, student_id, student_id)
    decided = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    assert (await api.send("POST", path, decided)).status == 200
    import_id = await new_plan(api.setup.store.imports, class_id)
    return Owned(class_id, student_id, other_id, batch_id, essay_id, pending_id, import_id)


async def everything(api: Api, backend: Stores) -> tuple[World, list[Remembered], object]:
    """Return all that a store has, but what is to be published."""
    batches = (await api.get("/v1/batches")).json["batches"]
    imports = (await api.get("/v1/imports")).json["imports"]
    return await backend.past.world(), await backend.past.changes(), (batches, imports)


def shown(value: Any) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """Return an answer without what differs between any two."""
    if isinstance(value, dict):
        return {name: shown(one) for name, one in value.items() if name not in OWN}
    return [shown(one) for one in value] if isinstance(value, list) else value


def check_trial(reply: Reply) -> None:
    assert reply.headers["Dry-Run"] == "true"
    assert not {"Location", "ETag", "Idempotent-Replayed"} & reply.headers.keys()


def test_every_operation_that_can_be_tried_is_tried() -> None:
    assert REQUESTS.keys() == {(one.method, one.path) for one in OPERATIONS if one.takes_dry_run}


@pytest.mark.parametrize(("method", "path"), WAYS)
async def test_a_trial_changes_nothing_and_answers_the_same(
    api: Api, backend: Stores, owned: Owned, method: str, path: str
) -> None:
    operation = operation_at(method, owned.fill(path))
    assert operation is not None
    body, headers = owned.fill(REQUESTS[method, path]), headers_of(operation)
    if "import_id" in operation.ids:
        headers |= await make_ready(api, operation, owned.import_id)
    file = file_of(operation)
    await backend.published()
    before = await everything(api, backend)

    tried = await api.send(method, owned.fill(path) + DRY, body, headers=headers, data=file)

    assert tried.status in {200, 201, 202}, tried.body
    check_trial(tried)
    assert await everything(api, backend) == before
    assert await backend.published() == []
    done = await api.send(method, owned.fill(path), body, headers=headers, data=file)
    assert "Dry-Run" not in done.headers
    if method != "DELETE":
        assert (tried.status, shown(tried.json)) == (done.status, shown(done.json))
    assert await everything(api, backend) != before
    if operation.tag is not Tag.ROSTERS:  # what they do is done by workers
        assert await backend.published()


@pytest.mark.parametrize(("method", "path"), WAYS)
async def test_a_trial_is_refused_as_what_it_tries(
    api: Api, owned: Owned, method: str, path: str
) -> None:
    operation = operation_at(method, owned.fill(path))
    assert operation is not None
    body, headers, file = (
        owned.fill(REQUESTS[method, path]),
        headers_of(operation),
        file_of(operation),
    )
    foreign = [
        await api.send(
            method, owned.fill(path) + query, body, user=OTHER, headers=headers, data=file
        )
        for query in (DRY, "")
    ]
    wrong = [
        await api.send(method, owned.fill(path) + query, data=b"[]", headers=JSON)
        for query in (DRY, "")
        if operation.takes_body
    ]

    assert {one.status for one in foreign} == ({201} if path in {CLASSES, IMPORTS} else {404})
    assert {one.status for one in wrong} <= {415 if operation.uploads else 400}
    for told in (foreign, wrong):
        assert [shown(one.json) for one in told[1:]] == [shown(one.json) for one in told[:-1]]


async def test_a_trial_names_who_has_an_email(api: Api, owned: Owned) -> None:
    body = {"person_name": {"first_name": "Bo", "last_name": "Ek"}, "email": "ASA@skola.se"}
    tried = await api.send("POST", STUDENTS + DRY, body)

    assert tried.problem(409, "STUDENT_EMAIL_CONFLICT")["student_id"] == owned.student_id
    assert "Dry-Run" not in tried.headers


async def test_deleting_a_class_says_what_it_would_end(api: Api, owned: Owned) -> None:
    await api.new_batch(owned.class_id, owned.student_id, None, owned.other_id)
    path = f"{CLASSES}/{owned.class_id}"

    tried = await api.send("DELETE", path + DRY)

    assert (tried.status, tried.json) == (200, {"batches_open": 2, "associations_pending": 4})
    assert (await api.get(path)).status == 200
    assert (await api.send("DELETE", path, user=OTHER)).status == 404
    assert (await api.send("DELETE", path + DRY, user=OTHER)).status == 404
    assert (await api.send("DELETE", path)).status == 204
    assert (await api.send("DELETE", path + DRY)).status == 404


async def test_an_empty_class_ends_nothing(api: Api) -> None:
    tried = await api.send("DELETE", f"{CLASSES}/{await api.new_class()}{DRY}")
    assert tried.json == {"batches_open": 0, "associations_pending": 0}


async def test_a_trial_keeps_no_key_and_repeats_no_answer(api: Api) -> None:
    key = {"Idempotency-Key": "a-key"}
    body = REQUESTS["POST", CLASSES]
    for _ in range(2):
        check_trial(await api.send("POST", CLASSES + DRY, body, headers=key))
    made = await api.send("POST", CLASSES, body, headers=key)
    assert made.status == HTTPStatus.CREATED
    check_trial(await api.send("POST", CLASSES + DRY, body, headers=key))

    assert len((await api.get(CLASSES)).json["classes"]) == 1


@pytest.mark.parametrize(
    "query", ["dry_run=yes", "dry_run=", "dry_run=True", "dry_run=true&dry_run=true", "dry_run=1"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", CLASSES), ("PUT", f"{STUDENTS}/{new_id()}")])
async def test_what_is_neither_true_nor_false_is_refused(
    api: Api, method: str, path: str, query: str
) -> None:
    refused = await api.send(method, f"{path}?{query}", REQUESTS["POST", CLASSES])

    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/dry_run"]
    assert (await api.get(CLASSES)).json["classes"] == []


async def test_what_cannot_be_tried_is_not_done(api: Api) -> None:
    path = f"{STUDENTS}/{await api.new_student()}"

    refused = await api.send("DELETE", path + DRY)

    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/dry_run"]
    assert (await api.get(path)).status == 200
    assert (await api.send("DELETE", f"{path}?dry_run=false")).status == 204


async def test_false_is_no_trial(api: Api) -> None:
    made = await api.send("POST", f"{CLASSES}?dry_run=false", REQUESTS["POST", CLASSES])

    assert (made.status, "Dry-Run" in made.headers) == (201, False)
    assert (await api.get(made.headers["Location"])).status == 200


async def test_a_read_takes_no_trial(api: Api) -> None:
    reply = await api.get(f"{CLASSES}?dry_run=maybe")
    assert (reply.status, "Dry-Run" in reply.headers) == (200, False)


async def test_what_services_send_cannot_be_tried_and_is_not_done(api: Api) -> None:
    path = "/internal/v1/tables/pending-associations/drift"
    refused = await api.internal(f"{path}{DRY}", "POST", {"repair": True})
    refused.problem(400, "VALIDATION_ERROR")
    assert refused.pointers == ["/dry_run"]
    assert api.setup.reconciler.requests == []
