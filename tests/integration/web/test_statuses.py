"""Every status and error code that the OpenAPI document gives for an operation really happens.

The cases are the document's own: what it says more, and nobody made happen, fails here. That an
answer fits what is described is checked with every answer (tests/support/conformance.py).
"""

import asyncio
import dataclasses
import io
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from rules.errors import StoreUnavailableError
from rules.models import Policy
from telemetry.health import HealthReport
from tests.integration.web.api import Reply, Setup, serving
from tests.integration.web.event_streams import STREAM, until_open
from tests.integration.web.example_world import (
    NAMES,
    Request,
    World,
    make_world,
    nobody,
    stalled,
)
from tests.integration.web.fakes import FakeHealth
from tests.integration.web.importing import apply, make_ready, new_plan, tag_of
from tests.support.documents import DESCRIBED, answers_of
from tests.support.stores import memory_stores
from web.cursors import encode
from web.documents.examples import BATCH_ID, CLASS_ID, ESSAY_ID, EXAMPLES, IMPORT_ID, STUDENT_ID
from web.limits import ConnectionLimits
from web.notifications.streams import Streams
from web.operations import Operation
from web.table import OPERATIONS

# The usual limit, which has a file of so many tests begin among the first.
pytestmark = pytest.mark.timeout(300)

PROBLEM: Final = "application/problem+json"
SUCCESS: Final = ""

Case = tuple[Operation, int, str]


def cases() -> Iterator[Case]:
    """Yield each operation with each status and error code; SUCCESS where it is no problem."""
    for operation in DESCRIBED:
        for status, answer in answers_of(operation).items():
            content = answer.get("content", {})
            if PROBLEM in content:
                yield from ((operation, int(status), code) for code in content[PROBLEM]["examples"])
            if [*content] != [PROBLEM]:  # with JSON, with none
                yield operation, int(status), SUCCESS


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [*cases()],
    ids=lambda value: value.name if isinstance(value, Operation) else str(value),
)
async def test_it_happens(tmp_path: Path, operation: Operation, status: int, code: str) -> None:
    make = RECIPES[(status, code)]
    async with memory_stores(Policy()) as stores:
        setup = Setup(stores)
        async with serving(setup, tmp_path) as api:
            world = await make_world(api)
        played = as_played(operation, status, code)
        table = [played if one is operation else one for one in OPERATIONS]
        async with serving(prepared(setup, status, code), tmp_path, table) as api:
            reply = await make(dataclasses.replace(world, api=api), played)
    assert reply.status == status
    if code:
        assert reply.json["error_code"] == code
    elif reply.body and operation.takes_body:
        answer = operation.answers[HTTPStatus(status)]
        assert answer.model is not None
        assert fits(reply.json, EXAMPLES[answer.model])


def fits(value: Any, example: Any) -> bool:  # noqa: ANN401  # any JSON
    """Whether a JSON value has the members of an example, as far as it has something there."""
    match value, example:
        case dict(), dict():
            same = value.keys() == example.keys()
            return same and all(fits(value[name], example[name]) for name in value)
        case list(), [first, *_]:
            return all(fits(one, first) for one in value)
        case _:
            return True


# --- what has to be otherwise from the start ------------------------------------------------------


def as_played(operation: Operation, status: int, code: str) -> Operation:
    """Return the operation, broken where nothing that a caller does makes it happen."""
    handler = Held() if (status, code) == UNDER_WAY else FAILING.get(code, operation.handler)
    # A file has a time of its own to arrive.
    seconds = (
        0.1 if operation.uploads and status == HTTPStatus.REQUEST_TIMEOUT else operation.seconds
    )
    return dataclasses.replace(operation, handler=handler, creation=None, seconds=seconds)


def prepared(setup: Setup, status: int, code: str) -> Setup:
    """Return how a service is set up so that it can happen."""
    match status, code:
        case _, "BAD_REQUEST":
            return dataclasses.replace(setup, limits=ConnectionLimits(body_seconds=0.1))
        case _, "TOO_MANY_REQUESTS":
            return dataclasses.replace(setup, limits=ConnectionLimits(user_requests=0))
        case _, "NOT_FOUND":
            return dataclasses.replace(setup, has_part=False, changes=False)
        case 503, "":
            ill = HealthReport(ok=False, checks={}, dependencies={})
            return dataclasses.replace(setup, health=FakeHealth(ill))
        case 200, "":
            return dataclasses.replace(setup, streams=Streams(lambda _: None))
        case _:
            return setup


async def _broken(*_: object, **__: object) -> NoReturn:
    raise RuntimeError


async def _unavailable(*_: object, **__: object) -> NoReturn:
    raise StoreUnavailableError


class Held:
    """Takes its time, and fails at last."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, *_: object, **__: object) -> NoReturn:
        self.begun.set()
        await self.go_on.wait()
        raise StoreUnavailableError


UNDER_WAY: Final = (409, "IDEMPOTENCY_CONFLICT")
FAILING: Final = {"INTERNAL_ERROR": _broken, "SERVICE_UNAVAILABLE": _unavailable}


# --- how it is made to happen ---------------------------------------------------------------------

Recipe = Callable[[World, Operation], Awaitable[Reply]]


async def as_it_is(world: World, operation: Operation) -> Reply:
    return await world.send(await ready(world, operation))


async def ready(world: World, operation: Operation) -> Request:
    """Return the request of an operation, in a world where it succeeds."""
    if operation.name in {"correctAssociation", "getEssayStudent", "getAssociationHistory"}:
        await world.decide()
    request = world.request(operation)
    if "import_id" not in operation.ids:
        return request
    headers = await make_ready(world.api, operation, world.ids[IMPORT_ID])
    return dataclasses.replace(request, headers={**request.headers, **headers})


async def plainly(world: World, operation: Operation) -> Reply:
    return await world.send(world.request(operation))


async def malformed(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    if operation.body is not None:
        return await world.send(request, data=b"[]")
    for name in operation.ids:
        request = request.with_text(world.ids[NAMES[name]], "no-uuid")
    if not operation.ids and not operation.parameters:
        request = with_header(request, "If-None-Match", "no tag")
    elif not operation.ids:
        request = dataclasses.replace(
            request, path=f"{operation.path}?{operation.parameters[0].name}=%00"
        )
    return await world.send(request)


async def by_nobody(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    return await world.send(dataclasses.replace(request, headers={}, by_user=False))


async def late(world: World, operation: Operation) -> Reply:
    return await world.send(world.request(operation), data=stalled())


async def too_large(world: World, operation: Operation) -> Reply:
    return await world.send(
        world.request(operation), data=io.BytesIO(bytes(operation.body_limit + 1))
    )


async def as_text(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    headers = {**request.headers, "Content-Type": "text/plain"}
    return await world.send(dataclasses.replace(request, headers=headers))


async def two_courses(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    return await world.send(
        dataclasses.replace(request, body={"name": "9A", "course_codes": ["SV1", "SV2"]})
    )


def without(example: str) -> Recipe:
    async def ask(world: World, operation: Operation) -> Reply:
        request = world.request(operation)
        return await world.send(request.with_text(world.ids[example], nobody()))

    return ask


async def same_email(world: World, operation: Operation) -> Reply:
    email = "asa.oberg@skola.example"
    await world.api.new_student("Cia", "Dal", email)
    request = world.request(operation)
    return await world.send(dataclasses.replace(request, body={**request.body, "email": email}))


async def same_external_id(world: World, operation: Operation) -> Reply:
    path = "/v1/classes/students" if "student" in operation.path else "/v1/classes"
    name = {"first_name": "Cia", "last_name": "Dal"}
    taken = {"person_name": name, "name": "7A", "course_codes": ["SV1"], "external_id": "4711"}
    assert (await world.api.send("POST", path, taken)).status == 201
    request = world.request(operation)
    body = {**request.body, "external_id": "4711"}
    return await world.send(dataclasses.replace(request, body=body))


async def of_unknown(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    return await world.send(request.with_text(world.ids[STUDENT_ID], world.unknown))


async def contradiction(world: World, operation: Operation) -> Reply:
    request: Request = world.request(operation)
    if operation.name == "confirmAssociations":
        await world.decide(confirmed=False)
    return await world.send(request)


async def from_another_database(world: World, operation: Operation) -> Reply:
    cursor = encode(("changes", nobody(), 0))
    request = world.request(operation)
    return await world.send(dataclasses.replace(request, path=f"{request.path}?cursor={cursor}"))


def with_header(request: Request, name: str, value: str) -> Request:
    return dataclasses.replace(request, headers={**request.headers, name: value})


async def unchanged(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    tag = (await world.send(request)).headers["ETag"]
    return await world.send(with_header(request, "If-None-Match", tag))


async def stale(world: World, operation: Operation) -> Reply:
    return await world.send(with_header(world.request(operation), "If-Match", '"another"'))


async def reused(world: World, operation: Operation) -> Reply:
    request = with_header(await ready(world, operation), "Idempotency-Key", "one")
    assert (await world.send(request)).status in operation.answers
    return await world.send(dataclasses.replace(request, path=f"{request.path}?another"))


async def under_way(world: World, operation: Operation) -> Reply:
    request = with_header(world.request(operation), "Idempotency-Key", "one")
    assert isinstance(operation.handler, Held)
    first = asyncio.create_task(world.send(request))
    await operation.handler.begun.wait()
    second = await world.send(request)
    operation.handler.go_on.set()
    assert (await first).status == 503
    return second


async def not_as_it_must_be(world: World, operation: Operation) -> Reply:
    if operation.name == "applyImport":
        await apply(world.api, world.ids[IMPORT_ID])
    return await world.send(await ready_as_is(world, operation))


async def ready_as_is(world: World, operation: Operation) -> Request:
    """Return the request of an operation on an import, which stays as it is."""
    headers = await tag_of(world.api, world.ids[IMPORT_ID])
    request = world.request(operation)
    return dataclasses.replace(request, headers={**request.headers, **headers})


async def too_much(world: World, operation: Operation) -> Reply:
    imports, class_id = world.api.setup.store.imports, world.ids[CLASS_ID]
    large = await new_plan(imports, class_id, is_large=True)
    ids = {**world.ids, IMPORT_ID: large}
    world = dataclasses.replace(world, ids=ids)
    return await world.send(await ready_as_is(world, operation))


async def as_picture(world: World, operation: Operation) -> Reply:
    return await world.send(with_header(world.request(operation), "Accept", "image/png"))


async def tried(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    return await world.send(dataclasses.replace(request, path=f"{request.path}?dry_run=true"))


async def until_ended(world: World, operation: Operation) -> Reply:
    streams = world.api.setup.streams
    assert streams is not None
    following = asyncio.create_task(as_it_is(world, operation))
    await until_open(streams, 1)
    streams.end()
    return await following


async def as_described(world: World, operation: Operation) -> Reply:
    if operation.path == STREAM:
        return await until_ended(world, operation)
    return await (tried if operation.name == "deleteClass" else as_it_is)(world, operation)


RECIPES: Final[dict[tuple[int, str], Recipe]] = {
    **dict.fromkeys([(status, SUCCESS) for status in (201, 202, 204, 503)], as_it_is),
    (200, SUCCESS): as_described,
    (400, "VALIDATION_ERROR"): malformed,
    (400, "MULTIPLE_COURSE_ERROR"): two_courses,
    (401, "AUTHENTICATION_REQUIRED"): by_nobody,
    (404, "CLASS_NOT_FOUND"): without(CLASS_ID),
    (404, "STUDENT_NOT_FOUND"): without(STUDENT_ID),
    (404, "BATCH_NOT_FOUND"): without(BATCH_ID),
    (404, "ESSAY_NOT_FOUND"): without(ESSAY_ID),
    (404, "IMPORT_NOT_FOUND"): without(IMPORT_ID),
    (404, "NOT_FOUND"): as_it_is,
    (406, "NOT_ACCEPTABLE"): as_picture,
    (408, "BAD_REQUEST"): late,
    (409, "STUDENT_EMAIL_CONFLICT"): same_email,
    (409, "EXTERNAL_ID_CONFLICT"): same_external_id,
    (409, "PLACEHOLDER_STUDENT"): of_unknown,
    (304, SUCCESS): unchanged,
    (409, "BATCH_CONFLICT"): contradiction,
    (409, "IMPORT_CONFLICT"): not_as_it_must_be,
    (409, "TOO_LARGE_CHANGE"): too_much,
    (409, "IDEMPOTENCY_CONFLICT"): under_way,
    (410, "RESYNC_REQUIRED"): from_another_database,
    (412, "PRECONDITION_FAILED"): stale,
    (413, "PAYLOAD_TOO_LARGE"): too_large,
    (415, "UNSUPPORTED_MEDIA_TYPE"): as_text,
    (422, "IDEMPOTENCY_CONFLICT"): reused,
    (429, "TOO_MANY_REQUESTS"): plainly,
    (500, "INTERNAL_ERROR"): plainly,
    (503, "SERVICE_UNAVAILABLE"): plainly,
}
