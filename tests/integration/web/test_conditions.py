"""Requests on a condition: every operation that takes one, from the table of operations."""

from dataclasses import dataclass, fields
from typing import Any, Final

import pytest
from multidict import CIMultiDict

from rules.ids import new_id
from tests.integration.store.builders import Stores
from tests.integration.web.api import OTHER, SERVICE, TEACHER, Api, Reply
from tests.integration.web.importing import new_plan
from web.identity import Access
from web.operations import Operation
from web.table import OPERATIONS

CLASS: Final = "/v1/classes/{class_id}"
STUDENT: Final = "/v1/classes/students/{student_id}"
BATCH: Final = "/v1/batches/{batch_id}/student-associations"
ESSAY: Final = f"{BATCH}/{{essay_id}}"


@dataclass(frozen=True)
class Change:
    """A request that changes something, and whose tag it is compared with."""

    tagged: str
    body: object = None
    #: What the request is refused for where its tag is fresh.
    refused: object = None


#: By the names of operations.
CHANGES: Final[dict[str, Change]] = {
    "updateClass": Change(CLASS, {"name": "9B"}),
    "deleteClass": Change(CLASS),
    "updateStudent": Change(
        STUDENT, {"person_name": {"first_name": "Eva"}}, {"email": "bo@skola.se"}
    ),
    "deleteStudent": Change(STUDENT),
    "confirmAssociations": Change(
        BATCH,
        {"associations": [{"essay_id": "{pending_id}", "confirmed": True}]},
        {"associations": [{"essay_id": "{essay_id}", "confirmed": False}]},
    ),
    "correctAssociation": Change(ESSAY, {"student_id": None}, {"student_id": "{absent_id}"}),
}
#: Without the one that does nothing without a condition (test_imports.py).
CONDITIONAL: Final = [one for one in OPERATIONS if one.takes_match and not one.needs_match]
TAGGED: Final = [one for one in OPERATIONS if one.method == "GET" and one.has_tag]
#: Those of what belongs to somebody.
OWNED: Final = [one for one in TAGGED if one.access is not Access.ANYBODY and one.ids]
#: Imports change by what workers do.
CHANGED: Final = [one for one in OWNED if "import_id" not in one.ids]


@dataclass(frozen=True)
class World:
    """A teacher's classes, students and batch; one essay is decided and one is not."""

    class_id: str
    other_class_id: str
    student_id: str
    other_id: str
    batch_id: str
    essay_id: str
    pending_id: str
    absent_id: str
    import_id: str

    def fill(self, value: object) -> Any:  # noqa: ANN401  # JSON in, JSON out
        if isinstance(value, str):
            return value.format(**vars(self))
        if isinstance(value, dict):
            return {key: self.fill(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill(member) for member in value]
        return value


NOWHERE: Final = World(*(str(new_id()) for _ in fields(World)))


@pytest.fixture
async def world(api: Api, backend: Stores) -> World:
    class_id, other_class_id = await api.new_class(), await api.new_class("9C")
    classes = (class_id, other_class_id)
    student_id = await api.new_student("Åsa", email="asa@skola.se", class_ids=classes)
    other_id = await api.new_student("Bo", "Ek", "bo@skola.se", class_ids=(class_id,))
    batch_id, [essay_id, pending_id] = await api.new_batch(class_id, student_id, other_id)
    world = World(
        class_id,
        other_class_id,
        student_id,
        other_id,
        batch_id,
        essay_id,
        pending_id,
        str(new_id()),
        await new_plan(backend.imports, class_id),
    )
    decided = {"associations": [{"essay_id": essay_id, "confirmed": True}]}
    assert (await api.send("POST", world.fill(f"{BATCH}/confirm"), decided)).status == 200
    await backend.published()
    return world


async def everything(api: Api, world: World) -> list[object]:
    """Return all that the teacher can see, with its tags."""
    paths = [CLASS, f"{CLASS}/roster", STUDENT, BATCH, ESSAY, "/v1/classes", "/v1/batches"]
    seen: list[object] = []
    for path in paths:
        reply = await api.get(world.fill(path))
        assert reply.status == 200
        seen.append((reply.headers.get("ETag"), content(reply)))
    return seen


def content(reply: Reply) -> object:
    """Return an answer without what its tag does not cover."""
    return {name: value for name, value in reply.json.items() if name != "server_time"}


async def ask(
    api: Api,
    world: World,
    operation: Operation,
    header: str | None,
    *,
    body: object = None,
    user: str = TEACHER,
) -> Reply:
    change = CHANGES[operation.name]
    return await api.send(
        operation.method,
        world.fill(operation.path),
        world.fill(body or change.body),
        user=user,
        headers={} if header is None else {"If-Match": header},
    )


async def tag_of(api: Api, world: World, operation: Operation) -> str:
    return (await api.get(world.fill(CHANGES[operation.name].tagged))).headers["ETag"]


def test_every_conditional_operation_is_tried() -> None:
    assert {operation.name for operation in CONDITIONAL} == CHANGES.keys()
    assert all(one.has_tag for one in CONDITIONAL if one.method == "PUT")


conditional = pytest.mark.parametrize("operation", CONDITIONAL, ids=lambda one: one.name)
tagged = pytest.mark.parametrize("operation", TAGGED, ids=lambda one: one.name)
owned = pytest.mark.parametrize("operation", OWNED, ids=lambda one: one.name)


@conditional
@pytest.mark.parametrize("form", ["{tag}", "*", '"other",,\t"{bare}-gzip" ,', 'W/"a",{tag}'])
async def test_a_fresh_tag_lets_it_through(
    api: Api, world: World, operation: Operation, form: str
) -> None:
    tag = await tag_of(api, world, operation)
    reply = await ask(api, world, operation, form.format(tag=tag, bare=tag.strip('"')))
    assert reply.status < 300, reply.body


@conditional
async def test_any_other_tag_changes_nothing(
    api: Api, backend: Stores, world: World, operation: Operation
) -> None:
    stale = await tag_of(api, world, operation)
    await move_on(api, world, operation)
    tag = await tag_of(api, world, operation)
    assert stale != tag
    await backend.published()
    before = await everything(api, world)
    for other in (stale, f"W/{tag}", f'"a", W/{tag}', f'{tag[:-1]}-br"', f'{tag[:-1]}-gzip-gzip"'):
        reply = await ask(api, world, operation, other)
        reply.problem(412, "PRECONDITION_FAILED")
    assert await everything(api, world) == before
    assert await backend.published() == []
    assert (await ask(api, world, operation, tag)).status < 300


async def move_on(api: Api, world: World, operation: Operation) -> None:
    """Change what an operation's tag covers, by another operation than this one."""
    path, body = {
        BATCH: (STUDENT, {"person_name": {"first_name": "Ny"}}),
        ESSAY: (STUDENT, {"person_name": {"first_name": "Ny"}}),
        CLASS: (STUDENT, {"person_name": {"first_name": "Ny"}}),
        STUDENT: (STUDENT, {"email": "ny@skola.se"}),
    }[CHANGES[operation.name].tagged]
    assert (await api.send("PUT", world.fill(path), body)).status == 200


NO_LISTS: Final = (
    *("", "x", '"', '"a" "b"', '*, "a"', '"a", *', 'w/"a"', 'W/ "a"', ",", "'a'"),
    '"a", b',
)


@conditional
async def test_what_is_no_list_of_tags_is_refused(
    api: Api, world: World, operation: Operation
) -> None:
    before = await everything(api, world)
    for header in NO_LISTS:
        reply = await ask(api, world, operation, header)
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == ["/If-Match"]
    assert await everything(api, world) == before


@conditional
async def test_the_absent_and_the_foreign_are_not_found(
    api: Api, world: World, operation: Operation
) -> None:
    fresh = await tag_of(api, world, operation)
    for header in ("*", '"stale"', fresh):
        for there, user in ((NOWHERE, TEACHER), (world, OTHER)):
            reply = await ask(api, there, operation, header, user=user)
            assert reply.status == 404, reply.body
    assert await tag_of(api, world, operation) == fresh


@pytest.mark.parametrize(
    "operation", [one for one in CONDITIONAL if CHANGES[one.name].refused], ids=lambda one: one.name
)
async def test_the_condition_comes_before_what_else_is_wrong(
    api: Api, world: World, operation: Operation
) -> None:
    refused = CHANGES[operation.name].refused
    fresh = await ask(api, world, operation, await tag_of(api, world, operation), body=refused)
    assert fresh.status in {400, 409}
    stale = await ask(api, world, operation, '"stale"', body=refused)
    stale.problem(412, "PRECONDITION_FAILED")


async def test_the_condition_of_what_changes_nothing_counts(api: Api, world: World) -> None:
    for path in (CLASS, STUDENT):
        reply = await api.send("PUT", world.fill(path), {}, headers={"If-Match": '"stale"'})
        reply.problem(412, "PRECONDITION_FAILED")
        tag = (await api.get(world.fill(path))).headers["ETag"]
        reply = await api.send("PUT", world.fill(path), {}, headers={"If-Match": tag})
        assert (reply.status, reply.headers["ETag"]) == (200, tag)


async def test_several_lines_are_one_list(api: Api, world: World) -> None:
    path = world.fill(STUDENT)
    tag = (await api.get(path)).headers["ETag"]
    url = f"http://127.0.0.1:{api.port}{path}"
    for last, status in (('"b"', 412), (tag, 200)):
        lines = CIMultiDict(
            [("X-User-ID", "l%C3%A4rare-1"), ("If-Match", '"a"'), ("If-Match", last)]
        )
        async with api.session.put(url, json={"email": None}, headers=lines) as reply:
            assert reply.status == status


async def test_a_put_gives_the_tag_with_which_the_next_one_is_made(api: Api, world: World) -> None:
    for path, names in ((CLASS, ({"name": "1"}, {"name": "2"})), (STUDENT, ({"email": None}, {}))):
        tag = (await api.get(world.fill(path))).headers["ETag"]
        for body in names:
            reply = await api.send("PUT", world.fill(path), body, headers={"If-Match": tag})
            assert reply.status == 200
            tag = reply.headers["ETag"]
            assert tag == (await api.get(world.fill(path))).headers["ETag"]


async def test_what_is_made_has_the_tag_that_is_read(api: Api) -> None:
    made = await api.send("POST", "/v1/classes", {"name": "Å/\"\\é 'x'", "course_codes": ["SV1"]})
    student = {"person_name": {"first_name": "Åsa"}, "class_ids": [made.json["id"]]}
    joined = await api.new_class()
    student["class_ids"] = [joined]
    for reply in (made, await api.send("POST", "/v1/classes/students", student)):
        read = await api.get(reply.headers["Location"])
        assert reply.headers["ETag"] == read.headers["ETag"]


STEPS: Final = [
    (
        "POST",
        "/v1/classes/students",
        {"person_name": {"first_name": "C"}, "class_ids": ["{class_id}"]},
    ),
    ("PUT", "/v1/classes/students/{other_id}", {"person_name": {"first_name": "Bosse"}}),
    ("PUT", STUDENT, {"email": None}),
    ("PUT", CLASS, {"course_codes": ["ENG5"]}),
    ("PUT", CLASS, {}),
    ("PUT", STUDENT, {"remove_class_ids": ["{other_class_id}"]}),
    ("PUT", STUDENT, {"add_class_ids": ["{other_class_id}"]}),
    ("DELETE", "/v1/classes/{other_class_id}", None),
    ("PUT", ESSAY, {"student_id": "{other_id}"}),
    (
        "POST",
        f"{BATCH}/confirm",
        {"associations": [{"essay_id": "{pending_id}", "confirmed": True}]},
    ),
    ("POST", "/v1/classes/students/{other_id}/merge", {"into": "{student_id}"}),
    ("PUT", STUDENT, {"remove_class_ids": ["{class_id}"]}),
]


async def test_a_tag_changes_whenever_its_answer_does_and_only_then(api: Api, world: World) -> None:
    paths = {operation.name: world.fill(operation.path) for operation in CHANGED}
    seen: dict[str, dict[str, object]] = {name: {} for name in paths}
    for method, path, body in [("GET", CLASS, None), *STEPS]:
        assert (await api.send(method, world.fill(path), world.fill(body))).status < 300, path
        for name, tagged_path in paths.items():
            reply = await api.get(tagged_path)
            assert seen[name].setdefault(reply.headers["ETag"], content(reply)) == content(reply)
    for name, answers in seen.items():
        assert len(answers) == len({str(answer) for answer in answers.values()}), name
        assert len(answers) > 2, name


@tagged
async def test_what_the_client_has_is_not_sent_again(
    api: Api, world: World, operation: Operation
) -> None:
    path = world.fill(operation.path)
    tag = (await api.get(path)).headers["ETag"]
    packed = f'{tag[:-1]}-gzip"'
    for method in ("GET", "HEAD"):
        for known in (tag, f"W/{tag}", "*", f'"a", {tag}', packed):
            reply = await api.send(method, path, headers={"If-None-Match": known})
            assert (reply.status, reply.body) == (304, b"")
            assert reply.headers["ETag"] == (packed if known == packed else tag)
            assert "Content-Type" not in reply.headers
            assert reply.headers["X-Correlation-ID"]
        other = await api.send(method, path, headers={"If-None-Match": '"a", W/"b"'})
        assert (other.status, other.headers["ETag"]) == (200, tag)


@tagged
async def test_what_is_no_list_of_known_tags_is_refused(
    api: Api, world: World, operation: Operation
) -> None:
    reply = await api.get(world.fill(operation.path), headers={"If-None-Match": "x"})
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/If-None-Match"]


@owned
async def test_the_absent_is_not_found_whatever_the_client_has(
    api: Api, operation: Operation
) -> None:
    reply = await api.get(NOWHERE.fill(operation.path), headers={"If-None-Match": "*"})
    assert reply.status == 404


async def test_an_answer_without_a_tag_takes_no_condition(api: Api) -> None:
    for header in ("*", "x"):
        reply = await api.get("/v1/courses", headers={"If-None-Match": header, "If-Match": header})
        assert reply.status == 200


async def test_another_service_may_ask_whether_a_roster_has_changed(api: Api, world: World) -> None:
    path = world.fill(f"{CLASS}/roster")
    tag = (await api.get(path)).headers["ETag"]
    headers = {**SERVICE, "If-None-Match": tag}
    assert (await api.send("GET", path, user=None, headers=headers)).status == 304
