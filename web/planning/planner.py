"""Has jobs done in a planning process: one at a time, and killed when it is late."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, TypeVar, cast

from rules.errors import ServiceError
from telemetry.logs import get_logger
from web.errors import BadRequestError, PayloadTooLargeError
from web.planning.child import ENDS, LENGTH_BYTES, framed
from web.planning.jobs import Done, Failed, Job, Outcome, Refused, unpacked

ResultT = TypeVar("ResultT")

#: After which an idle process ends.
IDLE_SECONDS: Final = 60.0
#: Between two looks whether the client is still there.
LOOK_SECONDS: Final = 0.25

_PIPE_BYTES: Final = 1024**2
_ARGUMENTS: Final = ("-P", "-m", "web.planning.child")
#: What a program of Python needs of its surroundings; no setting of the service is among it.
_KEPT_VARIABLES: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")

_log: Final = get_logger(__name__)


class ClientGoneError(BadRequestError):
    """The client has gone away."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.REQUEST_TIMEOUT, (self.__doc__ or "").strip())


class TooMuchToPlanError(PayloadTooLargeError):
    """The file needs more memory than an import may take: split it."""


class PlanningFailedError(ServiceError):
    """Planning failed inside the service."""


class Planner:
    """A planning process, started when it is first needed.

    Whatever ends a job before its time ends the process, too: a cancellation (the deadline), a
    client that is gone, an error of the pipe. The next job gets a new one.
    """

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def process_id(self) -> int | None:
        """The process that is there now, if one is."""
        return self._process.pid if self._process else None

    async def do(self, job: Job[ResultT], is_gone: Callable[[], bool] = lambda: False) -> ResultT:
        """Return what a job returns; once `is_gone` says so, nobody wants it any more.

        Raises what the job refuses with, TooMuchToPlanError, PlanningFailedError, ClientGoneError.
        """
        async with self._turn:
            packed = await asyncio.to_thread(framed, job)
            answer = await self._asked(packed, is_gone)
        outcome = await asyncio.to_thread(pickle.loads, answer)
        return cast("ResultT", await unpacked(_result(outcome)))

    async def _asked(self, packed: bytes, is_gone: Callable[[], bool]) -> bytes:
        exchange = asyncio.create_task(self._exchange(packed))
        try:
            await _watched(exchange, is_gone)
            return exchange.result()
        except (OSError, EOFError) as error:
            raise PlanningFailedError from error
        finally:
            if not exchange.done() or exchange.exception() is not None:
                await self._give_up(exchange)

    async def _give_up(self, exchange: "asyncio.Task[bytes]") -> None:
        """End the process and what is said with it; one that is only being started, too."""
        process = self._kill()
        exchange.cancel()
        await asyncio.gather(exchange, return_exceptions=True)
        if process is not None:
            await process.wait()

    async def _exchange(self, packed: bytes) -> bytes:
        process = await self._running()
        writer, reader = process.stdin, process.stdout
        assert writer is not None  # noqa: S101  # both are pipes
        assert reader is not None  # noqa: S101
        writer.write(packed)
        await writer.drain()
        last = await reader.readexactly(1)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(LENGTH_BYTES)))
        if last == ENDS:
            await self.close()
        else:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._kill)
        return answer

    async def _running(self) -> Process:
        if self._idle is not None:
            self._idle.cancel()
        if self._process is None or self._process.returncode is not None:
            kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *_ARGUMENTS,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=_PIPE_BYTES,
                env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._process

    async def close(self) -> None:
        """End the process, whatever it does."""
        process = self._kill()
        if process is not None:
            await process.wait()

    def _kill(self) -> Process | None:
        """Kill the process; return it, to be waited for."""
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
        return process


async def _watched(exchange: "asyncio.Task[bytes]", is_gone: Callable[[], bool]) -> None:
    """Wait until it is done. Raises ClientGoneError."""
    while not exchange.done():
        await asyncio.wait((exchange,), timeout=LOOK_SECONDS)
        if is_gone():
            raise ClientGoneError


def _result(outcome: Outcome) -> object:
    match outcome:
        case Done(result):
            return result
        case Refused():
            raise outcome.error()
        case Failed(MemoryError.__name__):
            raise TooMuchToPlanError
        case Failed(kind, places):
            _log.error("planning_failed", kind=kind, places=places)
            raise PlanningFailedError
