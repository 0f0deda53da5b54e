"""Coalesces simultaneous requests into one call, and so into one commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from rules.errors import DataRefusedError

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")

#: After so long a call waits for a lock or for a slow disk, and others need not wait for it. Two at
#: a time from the beginning are smaller ones: more statements, for the same requests.
LATE_SECONDS: Final = 0.03
#: Concurrent calls, late ones included.
CALLS_AT_ONCE: Final = 2
#: A call takes no more requests once it has this many.
REQUESTS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Asked(Generic[RequestT, ResultT]):
    requests: Sequence[RequestT]
    results: "asyncio.Future[list[ResultT]]"


class Coalescer(Generic[RequestT, ResultT]):
    """Runs an operation on lists, without waiting for more requests to arrive.

    A request is served at once, unless a call is running. Then it waits for that one to end, or to
    be late, and goes together with all others that wait. Two late ones hold up the rest, for as
    long as somebody waits for them.
    """

    def __init__(self, carry_out: Callable[[Sequence[RequestT]], Awaitable[list[ResultT]]]) -> None:
        """`carry_out` returns a result for each request, in their order."""
        self._carry_out = carry_out
        self._waiting: deque[_Asked[RequestT, ResultT]] = deque()
        # asyncio holds tasks weakly: without this, one could vanish half-way.
        self._calls: set[asyncio.Task[None]] = set()
        #: The call that is not late.
        self._latest: asyncio.Task[None] | None = None

    async def ask(self, requests: Sequence[RequestT]) -> list[ResultT]:
        """Return the results of these requests. Raises what the operation raises.

        Requests of a caller cancelled before its turn are dropped; later they are completed anyway,
        unless their call is late and all of its callers have been cancelled.
        """
        asked: _Asked[RequestT, ResultT] = _Asked(
            requests, asyncio.get_running_loop().create_future()
        )
        self._waiting.append(asked)
        self._begin()
        return await asked.results

    def _begin(self) -> None:
        """Serve what waits, if its time has come."""
        if self._latest or len(self._calls) == CALLS_AT_ONCE or not (together := self._next()):
            return
        loop = asyncio.get_running_loop()
        # A new context: it does not work only for the caller that came first.
        call = loop.create_task(self._call(together), context=Context())
        self._latest = call
        self._calls.add(call)
        late = loop.call_later(LATE_SECONDS, self._be_late, call, together)
        call.add_done_callback(lambda _: late.cancel())
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(self._pass_by)

    def _be_late(
        self, call: "asyncio.Task[None]", together: Sequence[_Asked[RequestT, ResultT]]
    ) -> None:
        """Let others begin, and end the call once nobody waits for it."""

        def end(_: object = None) -> None:
            # Else it would have its place until its lock is free, or its statement takes too long.
            if all(asked.results.done() for asked in together):
                call.cancel()

        for asked in together:
            asked.results.add_done_callback(end)
        end()
        self._pass_by(call)

    def _pass_by(self, call: "asyncio.Task[None]") -> None:
        """Let others begin: this call is late, or has ended."""
        if self._latest is call:
            self._latest = None
        self._begin()

    def _next(self) -> list[_Asked[RequestT, ResultT]]:
        together: list[_Asked[RequestT, ResultT]] = []
        count = 0
        while self._waiting and count < REQUESTS_AT_ONCE:
            asked = self._waiting.popleft()
            if not asked.results.done():  # else its caller was cancelled
                together.append(asked)
                count += len(asked.requests)
        return together

    async def _call(self, together: Sequence[_Asked[RequestT, ResultT]]) -> None:
        try:
            results = await self._carry_out([r for asked in together for r in asked.requests])
        except DataRefusedError as error:
            await self._refuse(together, error)
        except BaseException as error:
            _fail(together, error)
            if not isinstance(error, Exception):
                raise
        else:
            rest = iter(results)
            for asked in together:
                own = [next(rest) for _ in asked.requests]
                if not asked.results.done():
                    asked.results.set_result(own)

    async def _refuse(
        self, together: Sequence[_Asked[RequestT, ResultT]], error: DataRefusedError
    ) -> None:
        """Retry one by one: no request is refused because of another."""
        if len(together) == 1:
            _fail(together, error)
            return
        try:
            for asked in together:
                await self._call([asked])
        except BaseException as cancelled:
            _fail(together, cancelled)  # those whose turn does not come
            raise


def _fail(together: Sequence[_Asked[RequestT, ResultT]], error: BaseException) -> None:
    for asked in together:
        if asked.results.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            asked.results.cancel()
        else:
            asked.results.set_exception(error)
