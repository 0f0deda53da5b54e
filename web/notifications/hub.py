"""One subscription on Redis for all of a process's streams."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from telemetry.limits import LineLimit
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.notifications.events import UnknownEventError, UnreadableError, event_of
from web.notifications.streams import Streams

PREFIX: Final = b"ws:"
#: After this silence Redis is asked whether it is there, and has as long to say so.
SILENCE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 1.0
#: Between two log lines about what others publish.
QUIET_SECONDS: Final = 60.0

_log: Final = get_logger(__name__)


class NotificationHub:
    """Listens to the channels of the users who have a stream open.

    While Redis is away the streams stay open and say nothing; once it is back and a channel is
    listened to again, its streams are told that they may have missed something.
    """

    def __init__(self, redis: Redis, metrics: Metrics) -> None:
        """`redis` is a client for this alone, which speaks RESP 2: the form of its answers."""
        dropped = metrics.notifications_dropped.labels
        self.streams: Final = Streams(dropped("slow").inc)
        self._redis = redis
        self._unreadable, self._unknown = dropped("unreadable"), dropped("unknown")
        self._lines = LineLimit(1, QUIET_SECONDS)
        self._is_away = False
        self._has_ended = False
        #: Users who may have missed something, and hear of it once their channel is listened to.
        self._missed: set[str] = set()
        metrics.notification_streams.set_function(lambda: self.streams.count)

    async def run(self) -> None:
        """Listen, and again a moment after the connection has failed."""
        while True:
            await self._until_needed()
            try:
                await self._listen()
            except* (RedisError, OSError, TimeoutError) as errors:
                self._away(errors)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _until_needed(self) -> None:
        """Wait for the first stream: a process that nobody listens to needs no connection."""
        while not self.streams.users:
            self.streams.changed.clear()
            await self.streams.changed.wait()

    async def _listen(self) -> None:
        pool: Any = self._redis.connection_pool  # it leaves out its types
        connection: Any = pool.make_connection()
        try:
            await connection.connect()
            self._begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(connection))
                tasks.create_task(self._read(connection))
        finally:
            self._has_ended = True
            await connection.disconnect(nowait=True)

    async def _follow(self, connection: AbstractConnection) -> None:
        """Listen to the users who have a stream, as they come and go."""
        held = frozenset[str]()
        while True:
            self.streams.changed.clear()
            wanted = frozenset(self.streams.users)
            await _send(connection, "SUBSCRIBE", wanted - held)
            await _send(connection, "UNSUBSCRIBE", held - wanted)
            held = wanted
            await self.streams.changed.wait()

    async def _read(self, connection: AbstractConnection) -> None:
        """Take what Redis says. Raises TimeoutError when it says nothing for too long."""
        is_asked = False
        while True:
            reply = await connection.read_response(
                timeout=SILENCE_SECONDS, disconnect_on_error=False
            )
            if reply is not None:
                is_asked = False
                self._take(reply)
            elif is_asked:
                raise TimeoutError
            else:
                is_asked = True
                await connection.send_command("PING")

    def _take(self, reply: object) -> None:
        match reply:
            case [b"message", bytes(channel), bytes(text)]:
                self._deliver(_user(channel), text)
            case [b"subscribe", bytes(channel), _] if (user_id := _user(channel)) in self._missed:
                self._missed.discard(user_id)
                self.streams.resync(user_id)

    def _deliver(self, user_id: str, text: bytes) -> None:
        try:
            self.streams.put(user_id, event_of(text))
        except UnknownEventError:
            self._unknown.inc()
        except UnreadableError:
            self._unreadable.inc()
            left_out = self._lines.passes("unreadable")
            if left_out is not None:
                _log.warning("no real-time message, dropped", size=len(text), left_out=left_out)

    def _away(self, errors: BaseExceptionGroup) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("Redis away, streams say nothing", exc_info=errors)

    def _begin(self) -> None:
        """Note who may have missed something since a connection ended, whyever that was."""
        if self._has_ended:
            self._missed = set(self.streams.users)
        if self._is_away:
            self._is_away = False
            _log.info("Redis back, streams go on")


async def _send(connection: AbstractConnection, command: str, users: Collection[str]) -> None:
    if users:
        await connection.send_command(command, *(PREFIX + user.encode() for user in users))


def _user(channel: bytes) -> str:
    return channel.removeprefix(PREFIX).decode()
