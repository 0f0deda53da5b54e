"""The streams that a process has open, by user."""

import asyncio
from collections import deque
from collections.abc import Callable, KeysView
from typing import Final

from rules.errors import TooManyRequestsError
from web.errors import TooManyStreamsError
from web.limits import ConnectionLimits
from web.notifications.events import COMMENT, RESYNC

#: What waits for a slow reader: about a hundred messages. Beyond it, it has missed some.
MOST_WAITING: Final = 64 * 1024
#: A proxy takes a connection that is silent for longer than a minute for a dead one.
COMMENT_SECONDS: Final = 15.0


class Stream:
    """What waits to be written to one open stream."""

    def __init__(self, user_id: str, lost: Callable[[int], None]) -> None:
        """`lost` is told how many events a slow reader does not get."""
        self.user_id: Final = user_id
        self._lost = lost
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._woken = asyncio.Event()
        self._ended = False

    def put(self, event: bytes) -> None:
        """Add an event; where too much waits, what is there gives way to `resync`."""
        if self._size + len(event) > MOST_WAITING:
            self._lost(len(self._waiting) + 1)
            self._empty()
            event = RESYNC
        self._waiting.append(event)
        self._size += len(event)
        self._woken.set()

    def resync(self) -> None:
        """Say that something may have been missed: what waits is of no more use."""
        self._empty()
        self.put(RESYNC)

    def end(self) -> None:
        """Have `next` return None from now on."""
        self._ended = True
        self._woken.set()

    async def next(self) -> bytes | None:
        """Return what is to be written, which is a comment after a silence; None at the end."""
        try:
            async with asyncio.timeout(COMMENT_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return COMMENT
        if self._ended:
            return None
        self._woken.clear()
        found = b"".join(self._waiting)
        self._empty()
        return found

    def _empty(self) -> None:
        self._waiting.clear()
        self._size = 0


class Streams:
    """Every open stream, and what happens to them.

    `changed` is set when the `users` who have one are others than before.
    """

    def __init__(self, lost: Callable[[int], None]) -> None:
        """`lost` is told how many events slow readers do not get."""
        self.changed = asyncio.Event()
        self.count = 0
        self._lost = lost
        self._of_users: dict[str, list[Stream]] = {}
        self._is_over = False

    @property
    def users(self) -> KeysView[str]:
        """Whose streams are open."""
        return self._of_users.keys()

    def open(self, user_id: str, limits: ConnectionLimits) -> Stream:
        """Open a stream, to be closed. Raises TooManyStreamsError, TooManyRequestsError."""
        if self._is_over or self.count >= limits.streams:
            raise TooManyStreamsError
        own = self._of_users.get(user_id, [])
        if len(own) >= limits.user_streams:
            raise TooManyRequestsError
        stream = Stream(user_id, self._lost)
        own.append(stream)
        self.count += 1
        if len(own) == 1:
            self._of_users[user_id] = own
            self.changed.set()
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream."""
        own = self._of_users[stream.user_id]
        own.remove(stream)
        self.count -= 1
        if not own:
            del self._of_users[stream.user_id]
            self.changed.set()

    def put(self, user_id: str, event: bytes) -> None:
        """Give an event to all of a user's streams."""
        for stream in self._of_users.get(user_id, ()):
            stream.put(event)

    def resync(self, user_id: str) -> None:
        """Say to all of a user's streams that something may have been missed."""
        for stream in self._of_users.get(user_id, ()):
            stream.resync()

    def end(self) -> None:
        """End all streams, and open no more."""
        self._is_over = True
        for streams in self._of_users.values():
            for stream in streams:
                stream.end()
