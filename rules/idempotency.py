"""Requests with an idempotency key: one effect and one answer, however often they are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from rules.errors import KeyReusedError

#: How long an answer is kept. After it the key is free, whether or not its row is purged by then.
KEPT: Final = timedelta(hours=24)
#: How long a request waits for the first one with its key.
WAIT_SECONDS: Final = 1.0

_SUCCESSES: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key, which is its owner's; `digest` tells requests apart."""

    owner_id: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered to a request; a replay is what was kept of an earlier one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_replay: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether it takes the key; a refusal has no effect, so the key stays free."""
        return self.status in _SUCCESSES


def replay(request: KeyedRequest, digest: bytes, kept: KeptAnswer) -> KeptAnswer | KeyReusedError:
    """Return what a request gets whose key has an answer, to the request with `digest`."""
    return replace(kept, is_replay=True) if digest == request.digest else KeyReusedError()
