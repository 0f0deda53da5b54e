"""The keys of tokens that hold now, and how they are renewed without a restart."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from telemetry.health import OK
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.jwks import JwksSource, NotReadError
from web.token_keys import FoundKeys, TokenKey, UnfitKeyError, keys_of_jwks

#: Between two times that a token has the keys read: anybody can send one with an unknown key.
ASKED_SECONDS: Final = 10.0
#: After a failure.
RETRY_SECONDS: Final = 10.0
#: How long a request waits for keys that are being read.
WAIT_SECONDS: Final = 1.0
#: Requests that wait at once: each holds a place among those in flight before it is known whose
#: it is. Others are answered with the keys that are there.
MAX_WAITING: Final = 50

_log: Final = get_logger(__name__)


class KeyRing:
    """Keys that stay, or those of a JWKS.

    A JWKS that cannot be read, or has no key that can be used, leaves the keys as they are.
    """

    def __init__(
        self, metrics: Metrics, keys: Sequence[TokenKey] = (), source: JwksSource | None = None
    ) -> None:
        self._source = source
        self._fetches = metrics.token_key_fetches
        self._keys = tuple(keys)
        self._digests = frozenset(key.digest for key in keys)
        self._left_out: tuple[str, ...] = ()
        self._fault = OK if keys else "not read yet"
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")
        self._waiting = 0
        metrics.token_keys.set_function(lambda: len(self._keys))

    @property
    def is_renewed(self) -> bool:
        """Whether the keys may change."""
        return self._source is not None

    @property
    def keys(self) -> Sequence[TokenKey]:
        """The keys that hold now."""
        return self._keys

    def has(self, digest: bytes) -> bool:
        """Whether the key with this digest holds."""
        return digest in self._digests

    @property
    def state(self) -> str:
        """Why the keys are not the newest; "ok" if they are."""
        if self._fault == OK or self._keys:
            return self._fault
        return f"no key, so callers get 503: {self._fault}"

    async def renew(self) -> bool:
        """Read the keys, unless they just were; return whether they are others now."""
        before = self._keys
        reading = self._under_way
        if reading is None:
            if self._source is None or self._left_of(ASKED_SECONDS) > 0:
                return False
            reading = self._begin(self._source)
        await self._wait_for(reading)
        return self._keys != before

    async def _wait_for(self, reading: asyncio.Task[None]) -> None:
        if self._waiting >= MAX_WAITING:
            return
        self._waiting += 1
        try:
            await asyncio.wait((reading,), timeout=WAIT_SECONDS)
        finally:
            self._waiting -= 1

    async def run(self) -> None:
        """Keep reading the keys."""
        while self._source is not None:
            interval = self._source.interval if self._fault == OK else RETRY_SECONDS
            if reading := self._under_way:
                await reading
            elif (left := self._left_of(interval)) > 0:
                await asyncio.sleep(left)
            else:
                self._begin(self._source)

    def _left_of(self, interval: float) -> float:
        """Return how many seconds are left until it has gone by since the last read began."""
        return self._read_at + interval - time.monotonic()

    async def close(self) -> None:
        """Give up what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    def _begin(self, source: JwksSource) -> asyncio.Task[None]:
        self._read_at = time.monotonic()
        self._reading = asyncio.create_task(self._read(source))
        return self._reading

    @property
    def _under_way(self) -> asyncio.Task[None] | None:
        reading = self._reading
        return None if reading is None or reading.done() else reading

    async def _read(self, source: JwksSource) -> None:
        try:
            found = keys_of_jwks(await source.read(), with_secrets=source.is_private)
        except (NotReadError, UnfitKeyError) as error:
            self._keep(str(error), error)
        else:
            self._take(found)

    def _keep(self, fault: str, error: Exception) -> None:
        self._fetches.labels("failed").inc()
        if fault != self._fault:
            _log.warning("token keys not read", reason=fault, kept=len(self._keys), exc_info=error)
        self._fault = fault

    def _take(self, found: FoundKeys) -> None:
        self._fetches.labels("read").inc()
        if found.left_out and found.left_out != self._left_out:
            _log.warning("token keys left out", reasons=list(found.left_out))
        self._left_out = found.left_out
        digests = frozenset(key.digest for key in found.keys)
        if digests != self._digests:
            _log.info("token keys read", keys=len(found.keys), new=len(digests - self._digests))
            self._keys, self._digests = found.keys, digests
        elif self._fault != OK:
            _log.info("token keys read again", keys=len(self._keys))
        self._fault = OK
