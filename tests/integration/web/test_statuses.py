"""Every status and error code that the OpenAPI document gives for an operation really happens.

The cases are the document's own: what it says more, and nobody made happen, fails here. That an
answer fits what is described is checked with every answer (tests/support/conformance.py).
"""

import dataclasses
import io
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from rules.errors import StoreUnavailableError
from rules.models import Policy
from telemetry.health import HealthReport
from tests.integration.web.api import Reply, Setup, serving
from tests.integration.web.example_world import (
    NAMES,
    Request,
    World,
    make_world,
    nobody,
    stalled,
)
from tests.integration.web.fakes import FakeHealth
from tests.support.documents import answers_of
from tests.support.stores import memory_stores
from web.documents.examples import BATCH_ID, CLASS_ID, ESSAY_ID, EXAMPLES, STUDENT_ID
from web.limits import ConnectionLimits
from web.operations import Operation
from web.table import OPERATIONS

PROBLEM: Final = "application/problem+json"
SUCCESS: Final = ""

Case = tuple[Operation, int, str]


def cases() -> Iterator[Case]:
    """Yield each operation with each status and error code; SUCCESS where it is no problem."""
    for operation in OPERATIONS:
        for status, answer in answers_of(operation).items():
            content = answer.get("content", {})
            if PROBLEM in content:
                yield from ((operation, int(status), code) for code in content[PROBLEM]["examples"])
            if [*content] != [PROBLEM]:
                yield operation, int(status), SUCCESS


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [*cases()],
    ids=lambda value: value.name if isinstance(value, Operation) else str(value),
)
async def test_it_happens(tmp_path: Path, operation: Operation, status: int, code: str) -> None:
    make = RECIPES[(status, code)]
    async with memory_stores(Policy()) as stores:
        setup = prepared(Setup(stores), status, code)
        async with serving(setup, tmp_path) as api:
            world = await make_world(api)
        async with serving(setup, tmp_path, table_for(operation, code)) as api:
            reply = await make(dataclasses.replace(world, api=api), operation)
    assert reply.status == status
    if code:
        assert reply.json["error_code"] == code
    elif reply.body and operation.body is not None:
        [answer] = operation.answers.values()
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


def table_for(operation: Operation, code: str) -> list[Operation]:
    """Return the operations, of which this one fails where nothing that a caller does makes it."""
    handler = FAILING.get(code, operation.handler)
    failing = dataclasses.replace(operation, handler=handler)
    return [failing if one is operation else one for one in OPERATIONS]


def prepared(setup: Setup, status: int, code: str) -> Setup:
    """Return how a service is set up so that it can happen."""
    match status, code:
        case _, "BAD_REQUEST":
            return dataclasses.replace(setup, limits=ConnectionLimits(body_seconds=0.1))
        case _, "NOT_FOUND":
            return dataclasses.replace(setup, has_part=False)
        case 503, "":
            ill = HealthReport(ok=False, checks={}, dependencies={})
            return dataclasses.replace(setup, health=FakeHealth(ill))
        case _:
            return setup


async def _broken(*_: object, **__: object) -> NoReturn:
    raise RuntimeError


async def _unavailable(*_: object, **__: object) -> NoReturn:
    raise StoreUnavailableError


FAILING: Final = {"INTERNAL_ERROR": _broken, "SERVICE_UNAVAILABLE": _unavailable}


# --- how it is made to happen ---------------------------------------------------------------------

Recipe = Callable[[World, Operation], Awaitable[Reply]]


async def as_it_is(world: World, operation: Operation) -> Reply:
    if operation.name in {"correctAssociation", "getEssayStudent", "getAssociationHistory"}:
        await world.decide()
    return await world.send(world.request(operation))


async def malformed(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    if operation.body is not None:
        return await world.send(request, data=b"[]")
    for name in operation.ids:
        request = request.with_text(world.ids[NAMES[name]], "no-uuid")
    if not operation.ids:
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


async def of_unknown(world: World, operation: Operation) -> Reply:
    request = world.request(operation)
    return await world.send(request.with_text(world.ids[STUDENT_ID], world.unknown))


async def contradiction(world: World, operation: Operation) -> Reply:
    request: Request = world.request(operation)
    if operation.name == "confirmAssociations":
        await world.decide(confirmed=False)
    return await world.send(request)


RECIPES: Final[dict[tuple[int, str], Recipe]] = {
    **dict.fromkeys([(status, SUCCESS) for status in (200, 201, 202, 204, 503)], as_it_is),
    (400, "VALIDATION_ERROR"): malformed,
    (400, "MULTIPLE_COURSE_ERROR"): two_courses,
    (401, "AUTHENTICATION_REQUIRED"): by_nobody,
    (404, "CLASS_NOT_FOUND"): without(CLASS_ID),
    (404, "STUDENT_NOT_FOUND"): without(STUDENT_ID),
    (404, "BATCH_NOT_FOUND"): without(BATCH_ID),
    (404, "ESSAY_NOT_FOUND"): without(ESSAY_ID),
    (404, "NOT_FOUND"): as_it_is,
    (408, "BAD_REQUEST"): late,
    (409, "STUDENT_EMAIL_CONFLICT"): same_email,
    (409, "PLACEHOLDER_STUDENT"): of_unknown,
    (409, "BATCH_CONFLICT"): contradiction,
    (413, "PAYLOAD_TOO_LARGE"): too_large,
    (415, "UNSUPPORTED_MEDIA_TYPE"): as_text,
    (500, "INTERNAL_ERROR"): as_it_is,
    (503, "SERVICE_UNAVAILABLE"): as_it_is,
}
