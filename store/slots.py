"""How much of what is scarce each kind of work, and each user, may use at once."""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
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

    def be_refused(self) -> None:
        if not self.granted.done():
            self.granted.set_exception(StoreBusyError())


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

    def held(self, client: Client) -> AbstractAsyncContextManager[None]:
        """Hold a slot, after waiting for it. Raises what `wait` raises."""
        return _Held(self, client)

    def take_at_once(self, client: Client) -> bool:
        """Take a slot if there is one."""
        if self._is_free(client):
            self._grant(client)
            return True
        return False

    async def wait(self, client: Client) -> None:
        """Wait for a slot. Raises StoreBusyError after `wait_seconds`."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(client, loop.create_future())
        self._waiting.append(waiter)
        timer = None
        if self._wait_seconds is not None:
            timer = loop.call_later(self._wait_seconds, waiter.be_refused)
        try:
            await waiter.granted
        except BaseException:
            self._give_up(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def give_back(self, client: Client) -> None:
        """Return a slot, which goes to the first who may have it."""
        self._free += 1
        self._free_in[client.share] += 1
        if client.user_id is not None:
            self._taken_by[client.user_id] -= 1
            if not self._taken_by[client.user_id]:
                del self._taken_by[client.user_id]
        if self._waiting:
            self._pass_on(client)

    def _pass_on(self, given_back: Client) -> None:
        """Grant what may be granted now: a slot may have been kept from a share and from a user."""
        share, user_id = given_back.share, given_back.user_id
        for waiter in list(self._waiting):
            client = waiter.client
            if self._is_free(client) and not waiter.granted.done():
                self._waiting.remove(waiter)
                self._grant(client)
                waiter.granted.set_result(None)
                if client.share is share and client.user_id == user_id:
                    return  # that is all that was given back

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


@dataclass(eq=False, slots=True)
class _Held(AbstractAsyncContextManager[None]):
    slots: Slots
    client: Client

    async def __aenter__(self) -> None:
        if not self.slots.take_at_once(self.client):
            await self.slots.wait(self.client)

    async def __aexit__(self, *_: object) -> None:
        self.slots.give_back(self.client)
