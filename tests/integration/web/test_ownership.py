"""Promise 7: a caller sees and changes only what it owns.

Every route is tried: a new one must be added to REQUESTS, or these tests fail.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import pytest

from rules.ids import new_id
from tests.integration.web.api import OTHER, TEACHER, Api, Reply
from web.identity import Access
from web.table import OPERATIONS

NAME: Final = {"first_name": "Eva", "last_name": "Ek"}

# What another teacher sends to each route, with {names} of the owner's objects in it; None is
# no body. The bodies would be accepted from the owner.
REQUESTS: Final[dict[tuple[str, str], object]] = {
    ("GET", "/v1/classes/{class_id}"): None,
    ("PUT", "/v1/classes/{class_id}"): {"name": "mine", "course_codes": ["ENG5"]},
    ("DELETE", "/v1/classes/{class_id}"): None,
    ("GET", "/v1/classes/{class_id}/roster"): None,
    ("GET", "/v1/classes/students/{student_id}"): None,
    ("PUT", "/v1/classes/students/{student_id}"): {"person_name": NAME, "email": None},
    ("DELETE", "/v1/classes/students/{student_id}"): None,
    ("POST", "/v1/classes/students/{student_id}/merge"): {"into": "{other_id}"},
    ("GET", "/v1/batches/{batch_id}/student-associations"): None,
    ("PUT", "/v1/batches/{batch_id}/student-associations/{essay_id}"): {"student_id": None},
    ("GET", "/v1/batches/{batch_id}/student-associations/{essay_id}/history"): None,
    ("POST", "/v1/batches/{batch_id}/student-associations/confirm"): {
        "associations": [{"essay_id": "{pending_id}", "confirmed": True}]
    },
    ("GET", "/v1/batches/{batch_id}/student-associations/{essay_id}"): None,
}
# Routes that name nobody's object in their path, and what else tries them.
WITHOUT_OBJECT: Final = {
    ("GET", "/v1/classes"),  # test_lists_hold_only_the_callers_own
    ("GET", "/v1/classes/students"),  # test_lists_hold_only_the_callers_own
    ("POST", "/v1/classes"),  # its body names none either
    ("GET", "/v1/batches"),  # test_lists_hold_only_the_callers_own
    ("GET", "/v1/courses"),  # they are everybody's
    ("POST", "/v1/classes/students"),  # test_objects_of_others_inside_bodies_are_absent
}
# Other services see everybody's: test_identity.
PUBLIC_ROUTES: Final = {
    (operation.method, operation.path)
    for operation in OPERATIONS
    if operation.access in {Access.USER, Access.USER_OR_SERVICE}
}


@dataclass(frozen=True)
class Owned:
    """A teacher's class, students and batch, with an essay that is decided and one that is not."""

    class_id: str
    student_id: str
    other_id: str
    batch_id: str
    essay_id: str
    pending_id: str

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
    other_id = await api.new_student("Bo", "Ek")
    batch_id, [essay_id, pending_id] = await api.new_batch(class_id, student_id, student_id)
    owned = Owned(class_id, student_id, other_id, batch_id, essay_id, pending_id)
    decided = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    path = f"/v1/batches/{batch_id}/student-associations/confirm"
    assert (await api.send("POST", path, decided)).status == 200
    return owned


async def everything(api: Api, owned: Owned) -> list[object]:
    """Return all that the owner can see."""
    paths = (
        "/v1/classes",
        "/v1/classes/{class_id}",
        "/v1/classes/{class_id}/roster",
        "/v1/classes/students/{student_id}",
        "/v1/batches",
        "/v1/batches/{batch_id}/student-associations",
    )
    seen = [(await api.get(owned.fill(path))).json for path in paths]
    for one in seen:
        one.pop("server_time", None)
    return seen


def form(reply: Reply) -> object:
    """Return what an error says, without what differs between any two requests."""
    own = {"correlation_id", "instance"}
    document = {name: value for name, value in reply.json.items() if name not in own}
    headers = {name: reply.headers[name] for name in reply.headers if name != "X-Correlation-ID"}
    headers.pop("Date"), headers.pop("Content-Length")
    return reply.status, document, headers


def test_every_route_is_tried() -> None:
    assert REQUESTS.keys() | WITHOUT_OBJECT == PUBLIC_ROUTES


@pytest.mark.parametrize(("method", "path"), sorted(PUBLIC_ROUTES - WITHOUT_OBJECT))
async def test_object_of_another_is_as_good_as_absent(
    api: Api, owned: Owned, method: str, path: str
) -> None:
    before = await everything(api, owned)
    body = REQUESTS[method, path]
    foreign = await api.send(method, owned.fill(path), owned.fill(body), user=OTHER)
    assert foreign.status == 404
    nothing = Owned(*(str(new_id()) for _ in fields(Owned)))
    absent = await api.send(method, nothing.fill(path), nothing.fill(body), user=OTHER)
    assert form(foreign) == form(absent)
    assert await everything(api, owned) == before
    # And to its owner it is there: what was refused above was no bad request.
    assert (await api.send(method, owned.fill(path), owned.fill(body))).status < 300


async def test_lists_hold_only_the_callers_own(api: Api, owned: Owned) -> None:
    assert (await api.get("/v1/classes", user=OTHER)).json["classes"] == []
    own = await api.new_class(user=OTHER)
    listed = (await api.get("/v1/classes", user=OTHER)).json["classes"]
    assert [cls["id"] for cls in listed] == [own]
    mine = (await api.get("/v1/classes")).json["classes"]
    assert [cls["id"] for cls in mine] == [owned.class_id]
    student_id = await api.new_student(user=OTHER)
    students = "/v1/classes/students"
    by_name = [owned.other_id, owned.student_id]
    for user, there in ((OTHER, [student_id]), (TEACHER, by_name)):
        listed = (await api.get(students, user=user)).json["students"]
        assert [student["id"] for student in listed] == there
    asked = f"{students}?q=a&email=asa@skola.se&class_id={owned.class_id}"
    assert (await api.get(asked, user=OTHER)).json["students"] == []
    assert len((await api.get(asked)).json["students"]) == 1
    assert (await api.get("/v1/batches", user=OTHER)).json["batches"] == []
    batches = (await api.get("/v1/batches")).json["batches"]
    assert [batch["batch_id"] for batch in batches] == [owned.batch_id]
    of_class = "/v1/batches?class_id={}"
    foreign, absent = [
        (await api.get(of_class.format(class_id), user=OTHER)).json
        for class_id in (owned.class_id, str(new_id()))
    ]
    assert foreign["batches"] == absent["batches"] == []


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
async def test_objects_of_others_inside_bodies_are_absent(
    api: Api, owned: Owned, whose: str
) -> None:
    target = owned.class_id if whose == "another's" else str(new_id())
    before = await everything(api, owned)
    own_class = await api.new_class(user=OTHER)
    own_student = await api.new_student(class_ids=(own_class,), user=OTHER)
    path = f"/v1/classes/students/{own_student}"
    own_before = (await api.get(path, user=OTHER)).json

    body: dict[str, object] = {"person_name": NAME, "class_ids": [own_class, target]}
    made = await api.send("POST", "/v1/classes/students", body, user=OTHER)
    made.problem(404, "CLASS_NOT_FOUND")
    for member in ("add_class_ids", "remove_class_ids"):
        body = {"person_name": NAME, member: [target]}
        (await api.send("PUT", path, body, user=OTHER)).problem(404, "CLASS_NOT_FOUND")
    assert (await api.get(path, user=OTHER)).json == own_before
    roster = (await api.get(f"/v1/classes/{own_class}/roster", user=OTHER)).json["students"]
    assert [student["student_id"] for student in roster] == [own_student]
    assert await everything(api, owned) == before


async def test_students_of_others_cannot_be_confirmed(api: Api, owned: Owned) -> None:
    foreign = await api.new_student(user=OTHER)
    path = f"/v1/batches/{owned.batch_id}/student-associations/confirm"
    replies = [
        await api.send(
            "POST",
            path,
            {
                "associations": [
                    {"essay_id": owned.pending_id, "student_id": student_id, "confirmed": True}
                ]
            },
        )
        for student_id in (foreign, str(new_id()))
    ]
    assert form(replies[0]) == form(replies[1])
    replies[0].problem(400, "VALIDATION_ERROR")


async def test_essays_of_others_cannot_be_given_to_a_student(api: Api, owned: Owned) -> None:
    foreign = await api.new_student(user=OTHER)
    path = f"/v1/batches/{owned.batch_id}/student-associations/{owned.essay_id}"
    replies = [
        await api.send("PUT", path, {"student_id": student_id})
        for student_id in (foreign, str(new_id()))
    ]
    assert form(replies[0]) == form(replies[1])
    replies[0].problem(400, "VALIDATION_ERROR")


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
async def test_students_of_others_cannot_be_merged_into(api: Api, owned: Owned, whose: str) -> None:
    before = await everything(api, owned)
    mine = await api.new_student(user=OTHER)
    target = owned.student_id if whose == "another's" else str(new_id())
    for gone, into in ((mine, target), (target, mine)):
        path = f"/v1/classes/students/{gone}/merge"
        reply = await api.send("POST", path, {"into": into}, user=OTHER)
        reply.problem(404, "STUDENT_NOT_FOUND")
    assert (await api.get(f"/v1/classes/students/{mine}", user=OTHER)).status == 200
    assert await everything(api, owned) == before


async def test_email_of_anothers_student_is_free(api: Api, owned: Owned) -> None:
    assert owned.student_id != await api.new_student(email="asa@skola.se", user=OTHER)
