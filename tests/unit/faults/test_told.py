"""Who reads the changes: what it makes of answers and of none, and what the checker says of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from devstack.rig.http import Reply
from faults import told as told_module
from faults.checker import Kind, check
from faults.checker.changes import _there
from faults.told import PATH, Told, follow, follow_to_the_end
from faults.world import World
from tests.unit.faults.test_checker import made

IT: Final = made()


def change(sequence: int, kind: str, entity: str, one: str, **data: object) -> dict[str, Any]:
    version, owner = data.pop("version", None), data.pop("owner", "lärare")
    return {
        "sequence": sequence,
        "kind": kind,
        "entity": entity,
        "id": one,
        "version": version,
        "owner": owner,
        "data": data,
    }


def told_of(world: World) -> Told:
    """Return what somebody knows who was told of everything once."""
    changes = [
        change(number, "created", entity, one, **row)
        for number, ((entity, one, _), row) in enumerate(_there(world), 1)
    ]
    told = Told()
    assert not told.take({"changes": changes, "next_cursor": "end", "more": False})
    return told


def found(told: Told, world: World | None = None) -> list[str]:
    world = replace(world or IT.world(), told=told)
    return [one.what for one in check(IT.history, world) if one.kind is Kind.DIVERGED]


def test_who_was_told_of_everything_knows_what_there_is() -> None:
    assert found(told_of(IT.world())) == []


def forget(told: Told) -> None:
    told.things.pop(next(thing for thing in told.things if thing[0] == "enrollment"))


def invent(told: Told) -> None:
    told.things["association", str(uuid4()), None] = {}


def rename(told: Told) -> None:
    next(one for thing, one in told.things.items() if thing[0] == "class")["name"] = "another"


def skip(told: Told) -> None:
    number = told.sequence + 2
    told.take({"changes": [change(number, "deleted", "x", "y")], "next_cursor": "", "more": False})


def repeat(told: Told) -> None:
    told.sequence = 0
    told.take({"changes": [change(1, "updated", "x", "y")], "next_cursor": "", "more": False})


@pytest.mark.parametrize("breaks", [forget, invent, rename, skip, repeat])
def test_what_is_known_wrongly_is_found(breaks: Callable[[Told], None]) -> None:
    told = told_of(IT.world())
    breaks(told)
    assert found(told) != []


def test_what_kafka_alone_tells_is_found() -> None:
    world = IT.world()
    told = told_of(world)
    gone = next(one for kind, one, _ in told.things if kind == "class")
    del told.things["class", gone, None]
    rest = {one: row for one, row in world.classes.items() if one != gone}
    assert f"class {gone} is told to be there by Kafka alone" in found(
        told, replace(world, classes=rest)
    )


# --- reading -------------------------------------------------------------------------------------


class Service:
    """Gives answers in their order, then nothing new."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.often = asyncio.Event()

    async def ask(self, path: str) -> Reply | None:
        self.asked.append(path)
        if len(self.asked) > 2:
            self.often.set()
        answer = self.answers.pop(0) if self.answers else page("end")
        if answer is None:
            return None
        status = answer if isinstance(answer, int) else 200
        return Reply(status, CIMultiDictProxy(CIMultiDict()), orjson.dumps(answer))


def page(cursor: str, *changes: dict[str, Any], more: bool = False) -> dict[str, Any]:
    return {"changes": changes, "next_cursor": cursor, "more": more}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_module, "PAUSE_SECONDS", 0.001)


async def test_it_goes_on_where_it_was_whoever_does_not_answer() -> None:
    one, other = (change(n, "created", "class", f"c{n}", name="9A") for n in (1, 2))
    service = Service(None, page("a", one, more=True), 503, page("end", other))
    told = Told()
    assert await follow_to_the_end(service, told) == 2
    assert service.asked[:4] == [PATH, PATH, f"{PATH}&cursor=a", f"{PATH}&cursor=a"]
    assert (len(told.things), told.faults) == (2, [])


async def test_it_begins_anew_where_it_is_told_to() -> None:
    one = change(1, "created", "class", "c1", name="9A")
    renamed = change(2, "updated", "class", "c1", name="9B")
    service = Service(page("a", one), 410, page("b", one, more=True), page("end", renamed))
    told = Told()
    assert await follow_to_the_end(service, told) == 2
    assert (told.anew, told.faults) == (1, [])
    assert told.things["class", "c1", None]["name"] == "9B"


async def test_a_refusal_that_may_not_be_is_a_fault() -> None:
    told = Told()
    await follow_to_the_end(Service(400), told)
    assert told.faults == ["asked for changes, and got 400"]


async def test_it_reads_until_it_is_stopped() -> None:
    service, told = Service(), Told()
    following = asyncio.create_task(follow(service, told))
    await asyncio.wait_for(service.often.wait(), timeout=30)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert service.asked[1] == f"{PATH}&cursor=end"
