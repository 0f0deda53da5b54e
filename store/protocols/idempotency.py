"""Requests that are repeated, and requests that are only tried."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar

from rules.idempotency import KeptAnswer, KeyedRequest

T = TypeVar("T")
Work: TypeAlias = Callable[[], Awaitable[KeptAnswer]]


class IdempotencyProtocol(Protocol):
    """Runs what a request does, with all that it calls of the same store, as one."""

    async def once(self, request: KeyedRequest, work: Work) -> KeptAnswer:
        """Return what `work` answers, or answered to the same request before.

        Its effect and its answer commit together. What it raises, or answers that is no success,
        has no effect and leaves the key free. It may run several times until it commits.

        Raises KeyReusedError if the key is another request's, KeyUnderWayError if the first
        request takes longer than WAIT_SECONDS, and what `work` raises.
        """

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns, and take back all that it does. Raises what it raises."""
