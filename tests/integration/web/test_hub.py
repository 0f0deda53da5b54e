"""Real-time messages from a Redis to the streams of a process, over one connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from class_management.container import subscriber
from class_management.settings import Settings
from devstack.ports import free_port
from devstack.rig.outages import frozen
from devstack.rig.waiting import until
from devstack.valkey import EmbeddedValkey
from telemetry.metrics import Metrics
from tests.integration.web.event_streams import message
from web.limits import ConnectionLimits
from web.notifications import hub as hub_module
from web.notifications.events import RESYNC, event_of
from web.notifications.hub import NotificationHub
from web.notifications.streams import Stream

#: Of any script, with what a pattern or a command would be made of.
USERS: Final = ("lärare-1", "лектор *?[x]", "a b\r\nPING")
LIMITS: Final = ConnectionLimits()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path / "valkey.log", free_port()) as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "PAUSE_SECONDS", 0.01)


@dataclass(frozen=True)
class Rig:
    """A hub that runs, and a client beside it."""

    hub: NotificationHub
    client: Any
    metrics: Metrics

    def open(self, user_id: str) -> Stream:
        return self.hub.streams.open(user_id, LIMITS)

    async def published(self, user_id: str, text: bytes) -> None:
        """Publish once somebody listens."""

        async def heard() -> bool:
            return bool(await self.client.publish(f"ws:{user_id}", text))

        await until(f"somebody to listen to {user_id}", heard)

    async def channels(self) -> set[str]:
        return {one.decode() for one in await self.client.pubsub_channels()}

    async def until_listening(self, *users: str) -> None:
        async def so() -> bool:
            return await self.channels() == {f"ws:{user_id}" for user_id in users}

        await until(f"subscriptions of {users}", so)

    def dropped(self, reason: str) -> float | None:
        name = "class_management_notifications_dropped_total"
        return self.metrics.registry.get_sample_value(name, {"reason": reason})


@asynccontextmanager
async def running(server: EmbeddedValkey) -> AsyncIterator[Rig]:
    metrics = Metrics()
    async with (
        subscriber(Settings(redis_url=server.url)) as own,
        redis.asyncio.from_url(server.url) as client,
    ):
        hub = NotificationHub(own, metrics)
        task = asyncio.create_task(hub.run())
        yield Rig(hub, client, metrics)
        task.cancel()
        await asyncio.wait([task])


async def heard(stream: Stream) -> bytes | None:
    async with asyncio.timeout(30):
        return await stream.next()


async def test_each_user_hears_what_is_its_own_over_one_connection(server: EmbeddedValkey) -> None:
    async with running(server) as rig:
        streams = {user_id: rig.open(user_id) for user_id in USERS}
        await rig.until_listening(*USERS)
        for user_id in USERS:
            await rig.published(user_id, message(message=user_id))
        for user_id, stream in streams.items():
            event = await heard(stream)
            assert event is not None
            assert event.startswith(b"event: class_created\n")
            assert stream.user_id == user_id
            assert user_id.split()[0].encode() in event
        assert await connections(rig) == 1


async def connections(rig: Rig) -> int:
    """Return how many connections listen, beside the one that asks."""
    return sum(int(one["sub"]) > 0 for one in await rig.client.client_list())


async def test_a_channel_is_left_with_its_last_stream(server: EmbeddedValkey) -> None:
    async with running(server) as rig:
        one, two, other = rig.open("a"), rig.open("a"), rig.open("b")
        await rig.until_listening("a", "b")
        rig.hub.streams.close(one)
        rig.hub.streams.close(other)
        await rig.until_listening("a")
        rig.hub.streams.close(two)
        await rig.until_listening()
        again = rig.open("a")
        await rig.published("a", message())
        assert await heard(again)


async def test_nobody_listens_where_no_stream_is_open(server: EmbeddedValkey) -> None:
    async with running(server) as rig:
        rig.hub.streams.close(rig.open("a"))
        await asyncio.sleep(0.05)
        assert len(await rig.client.client_list()) == 1


NO_MESSAGES: Final = (
    *(b"", b"no JSON", b"\xff\x00", b"[]", b'{"event": 1, "data": 2}', b"x" * 10 * 1024 * 1024),
)


async def test_what_others_publish_is_dropped_and_counted(server: EmbeddedValkey) -> None:
    async with running(server) as rig:
        stream = rig.open("a")
        await rig.until_listening("a")
        with capture_logs() as lines:
            for text in NO_MESSAGES:
                await rig.published("a", text)
            await rig.published("a", message("another_services"))
            good = message()
            await rig.published("a", good)
            assert await heard(stream) == event_of(good)
        assert (rig.dropped("unreadable"), rig.dropped("unknown")) == (len(NO_MESSAGES), 1)
        assert [line["event"] for line in lines] == ["no real-time message, dropped"]


async def test_streams_stay_while_redis_is_away_and_hear_when_it_is_back(
    server: EmbeddedValkey,
) -> None:
    async with running(server) as rig:
        stream = rig.open("a")
        await rig.until_listening("a")
        with capture_logs() as lines:
            server.kill()
            await rig.client.connection_pool.disconnect()
            await said(lines, "Redis away, streams say nothing")
            newcomer = rig.open("b")
            server.start()
            assert [await heard(one) for one in (stream, newcomer)] == [RESYNC] * 2
            await said(lines, "Redis back, streams go on")
        assert [line["log_level"] for line in lines] == ["warning", "info"]
        await rig.published("a", message())
        assert (await heard(stream) or b"").startswith(b"event: class_created")


async def said(lines: list[Any], event: str) -> None:
    async def there() -> bool:
        return any(line["event"] == event for line in lines)

    await until(event, there, lambda: lines)


async def test_a_process_starts_without_redis(server: EmbeddedValkey) -> None:
    server.kill()
    async with running(server) as rig:
        with capture_logs() as lines:
            stream = rig.open("a")
            await said(lines, "Redis away, streams say nothing")
            server.start()
            assert await heard(stream) == RESYNC


async def test_a_redis_that_hangs_is_away(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SILENCE_SECONDS", 0.1)
    async with running(server) as rig:
        stream = rig.open("a")
        await rig.until_listening("a")
        with capture_logs() as lines:
            async with frozen(server):
                await said(lines, "Redis away, streams say nothing")
            assert await heard(stream) == RESYNC


async def test_a_redis_that_only_says_nothing_is_not_away(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SILENCE_SECONDS", 2.0)
    async with running(server) as rig:
        stream = rig.open("a")
        await rig.until_listening("a")

        async def is_asked() -> bool:
            commands = await rig.client.info("commandstats")
            return int(commands.get("cmdstat_ping", {}).get("calls", 0)) > 1

        with capture_logs() as lines:
            await until("Redis to be asked twice", is_asked)
            await rig.published("a", message())
            assert (await heard(stream) or b"").startswith(b"event: class_created")
        assert lines == []
