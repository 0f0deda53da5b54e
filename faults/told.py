"""A consumer of the service's changes: it reads them from any worker, and takes them over."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

from devstack.rig.http import Reply

#: Between two looks where nothing is new, or nobody answers.
PAUSE_SECONDS: Final = 0.3
#: What comes at the end is there, and only has to be read.
END_SECONDS: Final = 120.0
PAGE: Final = 1_000
PATH: Final = f"/internal/v1/changes?limit={PAGE}"

#: What it is and its id; of an enrollment the class, too.
Thing = tuple[str, str, str | None]


class Asking(Protocol):
    """Asks the service."""

    async def ask(self, path: str) -> Reply | None:
        """Return an answer of any worker, None if there is none."""


@dataclass
class Told:
    """What a consumer of changes knows. It keeps no more than its cursor and what it knows."""

    things: dict[Thing, dict[str, Any]] = field(default_factory=dict)
    cursor: str | None = None
    sequence: int = 0
    """The last that was taken over."""
    faults: list[str] = field(default_factory=list)
    """What was told wrongly."""
    anew: int = 0
    """How often it had to begin anew."""

    def take(self, page: Mapping[str, Any]) -> bool:
        """Take a page over; return whether there is more."""
        for change in page["changes"]:
            self._take(change)
        self.cursor = page["next_cursor"]
        return bool(page["more"])

    def begin_anew(self) -> None:
        """Forget everything: all changes of a run are kept, so all of it is told again."""
        self.things.clear()
        self.cursor, self.sequence = None, 0
        self.anew += 1

    def _take(self, change: Mapping[str, Any]) -> None:
        if change["sequence"] != self.sequence + 1:
            self.faults.append(f"{change['sequence']} was told after {self.sequence}")
        self.sequence = change["sequence"]
        thing = _thing(change)
        known = self.things.pop(thing, None)
        if (known is None) != (change["kind"] == "created"):
            self.faults.append(f"{thing} was {change['kind']} by {self.sequence}: out of order")
        if change["kind"] != "deleted":
            version = {"version": change["version"], "owner": change["owner"]}
            self.things[thing] = {**(known or {}), **change["data"], **version}


def _thing(change: Mapping[str, Any]) -> Thing:
    entity = change["entity"]
    of_class = change["data"]["class_id"] if entity == "enrollment" else None
    return entity, change["id"], of_class


async def follow(calls: Asking, told: Told) -> None:
    """Take changes over until cancelled."""
    while True:
        if not await _read_on(calls, told):
            await asyncio.sleep(PAUSE_SECONDS)


async def follow_to_the_end(calls: Asking, told: Told) -> int:
    """Take over all that is there; return the last number.

    Raises TimeoutError.
    """
    async with asyncio.timeout(END_SECONDS):
        before = None
        while before is None or before != (told.cursor, told.anew):
            before = told.cursor, told.anew
            while await _read_on(calls, told, patient=True):
                pass
    return told.sequence


async def _read_on(calls: Asking, told: Told, *, patient: bool = False) -> bool:
    """Read a page; return whether there is more. `patient`: ask until there is an answer."""
    while True:
        reply = await calls.ask(PATH if told.cursor is None else f"{PATH}&cursor={told.cursor}")
        if reply is not None and reply.status == HTTPStatus.OK:
            return told.take(reply.json)
        if reply is not None and reply.status == HTTPStatus.GONE:
            told.begin_anew()
            return True
        if reply is not None and reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            told.faults.append(f"asked for changes, and got {reply.status}")
        if not patient:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
