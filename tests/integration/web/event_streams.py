"""A client of the stream of real-time messages."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import orjson

from devstack.rig.waiting import until
from tests.integration.web.api import TEACHER, Api
from web.notifications.streams import Streams

STREAM: Final = "/v1/notifications/stream"
PATIENCE: Final = 30.0

Event = Mapping[str, str]


@dataclass(frozen=True)
class Listener:
    """An open stream."""

    response: aiohttp.ClientResponse

    async def block(self) -> Event:
        """Return what comes next: the fields of an event, "" is a comment."""
        async with asyncio.timeout(PATIENCE):
            text = await self.response.content.readuntil(b"\n\n")
        lines = (line.partition(":") for line in text.decode().strip("\n").split("\n"))
        return {name: value.strip() for name, _, value in lines}

    async def event(self) -> Event:
        """Return the next event."""
        while "event" not in (found := await self.block()):
            pass
        return found

    async def rest(self) -> bytes:
        """Return what comes until the service ends the stream."""
        async with asyncio.timeout(PATIENCE):
            return await self.response.content.read()


@asynccontextmanager
async def listening(
    api: Api, path: str = STREAM, user: str = TEACHER, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """Open a stream, up to how it begins."""
    sent = {"X-User-ID": quote(user), **(headers or {})}
    url = f"http://127.0.0.1:{api.port}{path}"
    async with api.session.get(url, headers=sent) as response:
        assert response.status == 200
        listener = Listener(response)
        assert {*await listener.block()} == {"retry", "id"}
        yield listener


def message(event: str = "class_created", **members: Any) -> bytes:  # noqa: ANN401  # JSON
    """Return a message as it is published."""
    data = {"event_id": str(uuid4()), **members}
    return orjson.dumps({"event": event, "data": data})


async def until_open(streams: Streams, count: int) -> None:
    async def as_many() -> bool:
        return streams.count == count

    await until(f"{count} open streams", as_many, lambda: streams.count)
