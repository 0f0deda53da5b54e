"""The messages that a teacher's browser gets: those on `ws:{user_id}`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from devstack.rig.tasks import background
from devstack.rig.waiting import until

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[None]]


class RedisListener:
    """Collects a teacher's messages in order."""

    def __init__(self, user_id: str) -> None:
        self.messages: list[Json] = []
        self._user_id = user_id

    async def handle(self, message: Json) -> None:
        """Collect a message."""
        self.messages.append(message)

    async def expect(self, *events: str, batch_id: str | None = None) -> list[Json]:
        """Wait for a message of each kind, of one batch if given; return these."""

        def find() -> Sequence[Json | None]:
            return [self._first(_is(event, batch_id)) for event in events]

        async def look() -> bool:
            return None not in find()

        await until(f"{events} on ws:{self._user_id}", look, self._kinds)
        return [message for message in find() if message is not None]

    def _kinds(self) -> list[str]:
        return [message["event"] for message in self.messages]

    def _first(self, wanted: Callable[[Json], bool]) -> Json | None:
        return next(filter(wanted, self.messages), None)


def _is(event: str, batch_id: str | None) -> Callable[[Json], bool]:
    def matches(message: Json) -> bool:
        same_batch = batch_id is None or message["data"].get("batch_id") == batch_id
        return bool(message["event"] == event and same_batch)

    return matches


@asynccontextmanager
async def subscribed(url: str, user_id: str, handle: Handler) -> AsyncIterator[None]:
    """Call `handle` with every message for a teacher from now on."""
    async with Redis.from_url(url) as redis, redis.pubsub() as pubsub:
        await pubsub.subscribe(f"ws:{user_id}")
        async with background(_listen(pubsub, handle)):
            yield


async def _listen(pubsub: PubSub, handle: Handler) -> None:
    async for message in pubsub.listen():
        if message["type"] == "message":
            await handle(orjson.loads(message["data"]))


@asynccontextmanager
async def listening(url: str, user_id: str) -> AsyncIterator[RedisListener]:
    """Collect a teacher's messages from now on."""
    listener = RedisListener(user_id)
    async with subscribed(url, user_id, listener.handle):
        yield listener
