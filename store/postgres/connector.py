"""Connects to the server that takes writes."""

import asyncio
from asyncio import FIRST_COMPLETED
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from store.postgres.hosts import hosts_of

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

#: How long a host is waited for before the next is tried beside it: one whose machine is gone
#: answers nothing at all.
HEAD_START_SECONDS: Final = 0.3


class Connector:
    """Finds among the hosts of an address the one that takes writes; names are looked up anew.

    A server that takes none, a standby or one that was made read-only, is refused also where it is
    the only one: reading there would show what is out of date, and every write would fail.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._hosts = hosts_of(dsn)

    async def connect(self, *_args: object, **options: Any) -> Session:  # noqa: ANN401  # asyncpg's
        """Connect, as asyncpg's `connect` does."""
        options["target_session_attrs"] = SessionAttribute.read_write
        if len(self._hosts) < 2:  # noqa: PLR2004
            return await asyncpg.connect(self._dsn, **options)
        return await self._race(options)

    async def _race(self, options: dict[str, Any]) -> Session:
        """Try the hosts in turn, the one that took writes last first."""
        untried = list(self._hosts)
        trying: dict[asyncio.Task[Session], tuple[str, int]] = {}
        errors: list[BaseException] = []
        try:
            while untried or trying:
                if untried:
                    host = untried.pop(0)
                    trying[asyncio.create_task(self._try(host, options))] = host
                pause = HEAD_START_SECONDS if untried else None
                ended, _ = await asyncio.wait(trying, timeout=pause, return_when=FIRST_COMPLETED)
                for attempt in ended:
                    host = trying.pop(attempt)
                    if error := attempt.exception():
                        errors.append(error)
                        continue
                    self._prefer(host)
                    return attempt.result()
        finally:
            await _abandon(trying)
        raise _most_telling(errors)

    async def _try(self, host: tuple[str, int], options: dict[str, Any]) -> Session:
        return await asyncpg.connect(self._dsn, host=host[0], port=host[1], **options)

    def _prefer(self, host: tuple[str, int]) -> None:
        self._hosts.sort(key=lambda other: other != host)


async def _abandon(attempts: "dict[asyncio.Task[Session], tuple[str, int]]") -> None:
    """End attempts, and the connections of those that have just succeeded."""
    for attempt in attempts:
        attempt.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, asyncpg.Connection):
            result.terminate()


def _most_telling(errors: list[BaseException]) -> BaseException:
    """Prefer what a server answered to what the network did."""
    answers = (error for error in errors if not isinstance(error, OSError))
    return next(answers, errors[-1])
