"""How much of what is scarce each kind of work, and each user, may use at once."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from rules.errors import StoreBusyError
from store.client import Client, Share

#: What is smaller is too small to be divided.
LEAST_DIVIDED: Final = 8
#: More than this the loops and consumers of a worker do not use at once.
MOST_FOR_LOOPS: Final = 12
MOST_FOR_MESSAGES: Final = 4
#: One user gets at most this part of the requests' share.
USERS_PART: Final = 4


def undivided(size: int) -> dict[Share, int]:
    """Let each kind of work use all."""
    return dict.fromkeys(Share, size)


def divided(size: int, *, streams: bool) -> dict[Share, int]:
    """Divide a pool; without `streams` there are hardly any loops, and no messages."""
    if size < LEAST_DIVIDED:
        return undivided(size)
    loops = min(size // 3, MOST_FOR_LOOPS) if streams else 1
    messages = min(size // 8, MOST_FOR_MESSAGES) if streams else 0
    return {
        Share.PROBE: 1,
        Share.LOOPS: loops,
        Share.MESSAGES: messages,
        Share.REQUESTS: size - loops - messages - 1,
    }


@dataclass(eq=False, slots=True)
class _Waiter:
    client: Client
    granted: "asyncio.Future[None]"


class Slots:
    """Permissions to use one of several, given in the order in which they were asked for.

    Only those whose share or user has all that it may have wait, so they hold up nobody else.
    """

    def __init__(
        self, size: int, shares: Mapping[Share, int], wait_seconds: float | None = None
    ) -> None:
        """Without `wait_seconds` they wait for as long as they are not cancelled."""
        #: By share: a list, since each use of a connection counts here.
        self._free_in = [shares[share] for share in Share]
        #: A lease keeps its connection while Kafka hangs; the other loops go on with the rest.
        self.most_leases: Final = max(shares[Share.LOOPS] // 2, 1)
        self._per_user = max(shares[Share.REQUESTS] // USERS_PART, 1)
        if size < LEAST_DIVIDED:
            self._per_user = size
        self._free = size
        self._wait_seconds = wait_seconds
        self._taken_by: Counter[str] = Counter()
        self._waiting: deque[_Waiter] = deque()

    @asynccontextmanager
    async def held(self, client: Client) -> AsyncIterator[None]:
        """Hold a slot, after waiting for it. Raises what `wait` raises."""
        if not self.take_at_once(client):
            await self.wait(client)
        try:
            yield
        finally:
            self.give_back(client)

    def take_at_once(self, client: Client) -> bool:
        """Take a slot if there is one."""
        if self._is_free(client):
            self._grant(client)
            return True
        return False

    async def wait(self, client: Client) -> None:
        """Wait for a slot. Raises StoreBusyError after `wait_seconds`."""
        waiter = _Waiter(client, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiter.granted
        except BaseException as error:
            self._give_up(waiter)
            if isinstance(error, TimeoutError):
                raise StoreBusyError from None
            raise

    def give_back(self, client: Client) -> None:
        """Return a slot, which goes to the first who may have it."""
        self._free += 1
        self._free_in[client.share] += 1
        if client.user_id is not None:
            self._taken_by[client.user_id] -= 1
            if not self._taken_by[client.user_id]:
                del self._taken_by[client.user_id]
        if self._waiting:
            self._pass_on()

    def _pass_on(self) -> None:
        """Grant what may be granted now: a slot may have been kept from a share and from a user."""
        for waiter in list(self._waiting):
            if self._is_free(waiter.client) and not waiter.granted.done():
                self._waiting.remove(waiter)
                self._grant(waiter.client)
                waiter.granted.set_result(None)

    def _is_free(self, client: Client) -> bool:
        if not self._free_in[client.share]:
            return False
        if client.user_id is not None and self._taken_by[client.user_id] >= self._per_user:
            return False
        return self._free > 0

    def _grant(self, client: Client) -> None:
        self._free -= 1
        self._free_in[client.share] -= 1
        if client.user_id is not None:
            self._taken_by[client.user_id] += 1

    def _give_up(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        else:  # it was granted in the same moment
            self.give_back(waiter.client)
