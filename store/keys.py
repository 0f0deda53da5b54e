"""The idempotency keys that are being used now, by this process and by others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from rules.errors import KeyUnderWayError, ServiceError
from rules.idempotency import WAIT_SECONDS, KeptAnswer, KeyedRequest, replay

#: What a request gets; None while another process uses its key.
Answered: TypeAlias = KeptAnswer | ServiceError | None

#: A digest, and what was answered to it.
_Success: TypeAlias = tuple[bytes, KeptAnswer]

#: Between two looks at what another process does.
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.1


class KeysInUse:
    """Lets one request at a time use a key. Who waits holds nothing that the first may need."""

    def __init__(self) -> None:
        #: The requests of this process that use their keys now; a success is all that they tell.
        self._first: dict[tuple[str, str], asyncio.Future[_Success | None]] = {}

    async def once(
        self, request: KeyedRequest, attempt: Callable[[], Awaitable[Answered]]
    ) -> KeptAnswer:
        """Return what `attempt` answers, or answered to the request before with the same key.

        Raises what it answers with, KeyReusedError if the key is another request's, and
        KeyUnderWayError if the one before takes longer than WAIT_SECONDS.
        """
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        name = request.owner_id, request.key
        while (first := self._first.get(name)) is not None:
            success = await _until(until, first)
            if success is not None:
                return _given(replay(request, *success))
        first = self._first[name] = asyncio.get_running_loop().create_future()
        success = None
        try:
            answer = await _poll(attempt, until)
            if answer.is_kept:
                success = request.digest, answer
            return answer
        finally:
            del self._first[name]
            first.set_result(success)


async def _until(until: float, first: "asyncio.Future[_Success | None]") -> _Success | None:
    try:
        async with asyncio.timeout_at(until):
            return await asyncio.shield(first)
    except TimeoutError:
        raise KeyUnderWayError from None


async def _poll(attempt: Callable[[], Awaitable[Answered]], until: float) -> KeptAnswer:
    clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
    while (answered := await attempt()) is None:
        if clock() >= until:
            raise KeyUnderWayError
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return _given(answered)


def _given(answered: KeptAnswer | ServiceError) -> KeptAnswer:
    if isinstance(answered, ServiceError):
        raise answered
    return answered
