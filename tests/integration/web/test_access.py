"""Promise 7: a caller sees and changes only what it owns. Who may call what, and with whose ids.

Every operation of the table is tried in every way: a new one, or a new id in a body, that has no
sample in requests.py fails these tests. `pytest -rP -k whole` shows how many that are.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Final

import pytest
from multidict import CIMultiDict

from telemetry.metrics import Metrics
from tests.integration.web import fakes
from tests.integration.web.api import OTHER, TEACHER, Api, Reply, Setup, serving
from tests.integration.web.callers import ALWAYS, PUBLIC, WITH_TOKENS, WITHOUT_TOKENS, Case
from tests.integration.web.event_streams import STREAM
from tests.integration.web.fakes import FakeBackend, Misbehaving
from tests.integration.web.importing import make_ready
from tests.integration.web.requests import (
    Place,
    at,
    body_of,
    file_of,
    headers_of,
    id_places,
    other_places,
    replaced,
)
from tests.integration.web.worlds import World, everything, new_world
from tests.support.tokens import AUDIENCE, ec_signer
from web.identity import Access
from web.key_ring import KeyRing
from web.notifications.streams import Streams
from web.operations import Operation
from web.table import OPERATIONS
from web.token_keys import keys_of_pem
from web.tokens import TokenCheck

_VARIABLE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Slot:
    """A place of a request where an id stands; `name` is that of the id in a World."""

    where: str
    name: str
    place: Place = ()


def slots(operation: Operation) -> Iterator[Slot]:
    """Yield every place of a user's request where another's id may be put."""
    for name in _VARIABLE.findall(operation.path):
        yield Slot("path", name)
    for parameter in operation.parameters:
        if parameter.schema.get("format") == "uuid":
            yield Slot("query", parameter.name)
    for place in id_places(operation.body) if operation.body else ():
        # A KeyError here: the sample has no such member.
        yield Slot("body", str(at(body_of(operation), place)).strip("{}"), place)


def of_users() -> list[Operation]:
    return [one for one in OPERATIONS if one.access in PUBLIC]


def samples() -> list[tuple[Operation, Slot]]:
    return [(operation, slot) for operation in of_users() for slot in slots(operation)]


def test_the_matrix_is_whole(request: pytest.FixtureRequest) -> None:
    places = [slot.where for _, slot in samples()]
    ways = 2 * len(ALWAYS) + len(WITH_TOKENS) + len(WITHOUT_TOKENS)
    found = ", ".join(f"{places.count(where)} in the {where}" for where in dict.fromkeys(places))
    text = (
        f"{len(OPERATIONS)} operations x {ways} ways to say who is calling = "
        f"{len(OPERATIONS) * ways} requests; {len(of_users())} operations of users with "
        f"{len(places)} places for ids ({found}), each with another's id and with nobody's, "
        "on both stores"
    )
    request.node.add_report_section("call", "access matrix", text)
    assert {"path", "query", "body"} == set(places)
    known = {field.name for field in fields(World)}
    assert {slot.name for _, slot in samples()} <= known


def test_an_operation_has_to_say_who_may_call_it() -> None:
    [access] = [field for field in fields(Operation) if field.name == "access"]
    assert access.default is access.default_factory is MISSING


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_member_that_is_called_an_id_is_one(operation: Operation) -> None:
    """What is read as text could name another's thing, and no case here would try it."""
    places = other_places(operation.body) if operation.body else []
    names = [str([part for part in place if isinstance(part, str)][-1]) for place in places]
    assert [name for name in names if re.search(r"(?<!external)_ids?$", name)] == []


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    """Have a server that wants tokens; whatever gets beyond the door is 503."""
    metrics = Metrics()
    ring = KeyRing(metrics, keys_of_pem(ec_signer().pem))
    async with serving(behind_nothing(TokenCheck(ring, [AUDIENCE], metrics)), tmp_path) as api:
        yield api


@pytest.fixture
async def unguarded(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(behind_nothing(None), tmp_path) as api:
        yield api


def behind_nothing(tokens: TokenCheck | None) -> Setup:
    broken = Misbehaving(fakes.unavailable)
    streams = Streams(lambda _: None)
    streams.end()
    return Setup(FakeBackend.all_of(broken), inspection=broken, tokens=tokens, streams=streams)


async def is_let_in(api: Api, operation: Operation, case: Case) -> bool:
    """Return whether a request gets beyond the door; check how one that does not is answered."""
    path = World.of_nobody().fill(operation.path)
    body = World.of_nobody().fill(body_of(operation))
    headers = CIMultiDict(case.headers)
    headers.update(headers_of(operation))
    reply = await api.send(
        operation.method, path, body, user=None, headers=headers, data=file_of(operation)
    )
    if reply.status != 401:
        return True
    reply.problem(401, "AUTHENTICATION_REQUIRED")
    assert reply.headers["WWW-Authenticate"]
    return False


def doors(operation: Operation, case: Case) -> bool:
    return operation.access is Access.ANYBODY or operation.access in case.opens


@pytest.mark.parametrize("case", [*ALWAYS, *WITH_TOKENS], ids=lambda one: one.name)
async def test_who_may_call_what_with_tokens(guarded: Api, case: Case) -> None:
    found = {one.name: await is_let_in(guarded, one, case) for one in OPERATIONS}
    assert found == {one.name: doors(one, case) for one in OPERATIONS}


@pytest.mark.parametrize("case", [*ALWAYS, *WITHOUT_TOKENS], ids=lambda one: one.name)
async def test_who_may_call_what_without_tokens(unguarded: Api, case: Case) -> None:
    found = {one.name: await is_let_in(unguarded, one, case) for one in OPERATIONS}
    assert found == {one.name: doors(one, case) for one in OPERATIONS}


def form(reply: Reply) -> object:
    """Return what an answer says, without what differs between any two requests."""
    own = {"correlation_id", "instance", "server_time"}
    document = {name: value for name, value in reply.json.items() if name not in own}
    headers = {name: reply.headers[name] for name in reply.headers if name != "X-Correlation-ID"}
    headers.pop("Date"), headers.pop("Content-Length")
    return reply.status, document, headers


async def send(
    api: Api,
    operation: Operation,
    world: World,
    slot: Slot | None = None,
    other: str = "",
    *,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send the request of an operation with a world's ids, but another one in a slot."""
    ids = vars(world) | ({slot.name: other} if slot and slot.where == "path" else {})
    path = operation.path.format(**ids)
    if slot is not None and slot.where == "query":
        path += f"?{slot.name}={other}"
    body = world.fill(body_of(operation))
    if slot is not None and slot.where == "body":
        body = replaced(body, slot.place, other)
    sent = {**headers_of(operation), **(headers or {})}
    return await api.send(operation.method, path, body, headers=sent, data=file_of(operation))


#: Who hears what on a stream is in test_streams.py.
@pytest.mark.parametrize(
    "operation", [one for one in of_users() if one.path != STREAM], ids=lambda one: one.name
)
async def test_what_is_anothers_is_as_good_as_absent(api: Api, operation: Operation) -> None:
    mine, theirs = await new_world(api), await new_world(api, OTHER)
    before = await everything(api, mine), await everything(api, theirs, OTHER)
    for slot in slots(operation):
        foreign = await send(api, operation, mine, slot, vars(theirs)[slot.name])
        absent = await send(api, operation, mine, slot, vars(World.of_nobody())[slot.name])
        assert form(foreign) == form(absent), slot
        # A list of nothing is no refusal.
        refused = {200} if slot.where == "query" else {404} if slot.where == "path" else {400, 404}
        assert foreign.status in refused, slot
    if _VARIABLE.search(operation.path):
        foreign, absent = [
            await send(api, operation, world) for world in (theirs, World.of_nobody())
        ]
        assert foreign.status == 404
        assert form(foreign) == form(absent)
    assert (await everything(api, mine), await everything(api, theirs, OTHER)) == before
    # And what is one's own is there: what was refused above was no bad request.
    headers = await make_ready(api, operation, mine.import_id)
    assert (await send(api, operation, mine, headers=headers)).status < 300
    assert await everything(api, theirs, OTHER) == before[1]


async def test_lists_hold_only_the_callers_own(api: Api) -> None:
    mine, theirs = await new_world(api), await new_world(api, OTHER)
    for path, member, key, names in (
        ("/v1/classes", "classes", "id", ("class_id", "other_class_id")),
        ("/v1/classes/students", "students", "id", ("student_id", "other_student_id")),
        ("/v1/batches", "batches", "batch_id", ("batch_id",)),
        ("/v1/imports", "imports", "id", ("import_id",)),
    ):
        for user, world in ((TEACHER, mine), (OTHER, theirs)):
            listed = (await api.get(path, user=user)).json[member]
            assert {one[key] for one in listed} == {vars(world)[name] for name in names}
            assert (await api.get(path, user="somebody else")).json[member] == []


async def test_email_of_anothers_student_is_free(api: Api) -> None:
    mine = await new_world(api)
    assert mine.student_id != await api.new_student(email="asa@skola.se", user=OTHER)
