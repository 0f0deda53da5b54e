"""Coalesces simultaneous requests into one call, and so into one commit."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from rules.errors import DataRefusedError

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")

#: After so long a call waits for a lock or for a slow disk, and others need not wait for it. Two at
#: a time from the beginning are smaller ones: more statements, for the same requests.
LATE_SECONDS: Final = 0.03
#: Concurrent calls, late ones included.
CALLS_AT_ONCE: Final = 2
#: After so long it waits for a lock, and for one of its owners more may come to wait for the same:
#: what these ask for next goes by itself, so that the others' does not wait with it.
STUCK_SECONDS: Final = 0.3
#: Calls of owners by themselves, and those that are stuck. Each has a connection.
APART_AT_ONCE: Final = 4
#: For how long an owner goes by itself of whom nothing succeeds.
SUSPECT_SECONDS: Final = 10.0
#: A call takes no more requests once it has this many.
REQUESTS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Asked(Generic[RequestT, ResultT]):
    requests: Sequence[RequestT]
    owner: str
    results: "asyncio.Future[list[ResultT]]"


class Coalescer(Generic[RequestT, ResultT]):
    """Runs an operation on lists, without waiting for more requests to arrive.

    A request is served at once, unless a call is running. Then it waits for that one to end, or to
    be late, and goes together with all others that wait. Two late ones hold up the rest until they
    are stuck. Then those whose requests are in there are suspects: each goes by itself, one call at
    a time, until one succeeds.
    """

    def __init__(
        self,
        carry_out: Callable[[Sequence[RequestT]], Awaitable[list[ResultT]]],
        owner_of: Callable[[RequestT], str],
    ) -> None:
        """`carry_out` returns a result for each request, in their order."""
        self._carry_out = carry_out
        self._owner_of = owner_of
        self._waiting: deque[_Asked[RequestT, ResultT]] = deque()
        # asyncio holds tasks weakly: without this, one could vanish half-way.
        self._calls: set[asyncio.Task[None]] = set()
        #: The call that is not late.
        self._latest: asyncio.Task[None] | None = None
        #: Who goes by itself, until when by the event loop's clock, and what of them waits.
        self._suspects: dict[str, float] = {}
        self._apart: defaultdict[str, deque[_Asked[RequestT, ResultT]]] = defaultdict(deque)
        #: The calls that are stuck, and those of suspects, whose owners each have one.
        self._aside: set[asyncio.Task[None]] = set()
        self._served: set[str] = set()

    @property
    def suspects(self) -> AbstractSet[str]:
        """Who goes by itself."""
        return self._suspects.keys()

    async def ask(self, requests: Sequence[RequestT]) -> list[ResultT]:
        """Return the results of these requests. Raises what the operation raises.

        Requests of a caller cancelled before its turn are dropped; later they are completed anyway,
        unless their call is late and all of its callers have been cancelled.
        """
        loop = asyncio.get_running_loop()
        owner = self._owner_of(requests[0]) if requests else ""
        asked: _Asked[RequestT, ResultT] = _Asked(requests, owner, loop.create_future())
        self._queue(asked)
        self._begin()
        return await asked.results

    def _queue(self, asked: _Asked[RequestT, ResultT]) -> None:
        """Have it wait with the others, or by itself."""
        until = self._suspects.get(asked.owner)
        is_suspect = until is not None and until > asyncio.get_running_loop().time()
        (self._apart[asked.owner] if is_suspect else self._waiting).append(asked)

    def _begin(self) -> None:
        """Serve what waits, if its time has come."""
        if not self._latest and len(self._calls) < CALLS_AT_ONCE:
            together = self._next(self._waiting)
            if together:
                self._latest = self._start(together, self._calls)
        if self._apart:
            self._begin_apart()

    def _begin_apart(self) -> None:
        """Serve suspects, each by itself."""
        for owner in [owner for owner in self._apart if owner not in self._served]:
            if len(self._aside) >= APART_AT_ONCE:
                return
            waiting = self._apart.pop(owner)
            together = self._next(waiting)
            if waiting:
                self._apart[owner] = waiting  # behind the others
            if together:
                self._served.add(owner)
                call = self._start(together, self._aside)
                call.add_done_callback(partial(self._be_served, owner))

    def _be_served(self, owner: str, _: object) -> None:
        self._served.discard(owner)
        self._begin()

    def _start(
        self, together: Sequence[_Asked[RequestT, ResultT]], calls: "set[asyncio.Task[None]]"
    ) -> "asyncio.Task[None]":
        loop = asyncio.get_running_loop()
        # A new context: it does not work only for the caller that came first.
        call = loop.create_task(self._call(together), context=Context())
        calls.add(call)
        late = loop.call_later(LATE_SECONDS, self._be_late, call, together)
        stuck = loop.call_later(STUCK_SECONDS, self._be_stuck, call, together)

        def ended(_: object) -> None:
            late.cancel()
            stuck.cancel()
            self._calls.discard(call)
            self._aside.discard(call)
            self._pass_by(call)

        call.add_done_callback(ended)
        return call

    def _be_stuck(
        self, call: "asyncio.Task[None]", together: Sequence[_Asked[RequestT, ResultT]]
    ) -> None:
        """Have those whose requests are in a call go by themselves, and let others begin."""
        now = asyncio.get_running_loop().time()
        self._suspects = {owner: until for owner, until in self._suspects.items() if until > now}
        self._suspects |= dict.fromkeys((a.owner for a in together), now + SUSPECT_SECONDS)
        waiting = list(self._waiting)
        self._waiting.clear()
        for asked in waiting:
            self._queue(asked)
        if call in self._calls and len(self._aside) < APART_AT_ONCE:
            self._calls.discard(call)
            self._aside.add(call)
        self._pass_by(call)

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

    def _next(self, waiting: deque[_Asked[RequestT, ResultT]]) -> list[_Asked[RequestT, ResultT]]:
        together: list[_Asked[RequestT, ResultT]] = []
        count = 0
        while waiting and count < REQUESTS_AT_ONCE:
            asked = waiting.popleft()
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
                self._suspects.pop(asked.owner, None)
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
