"""Requests that are repeated, and requests that are only tried."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar

from rules.changes import NewClassRequest, NewStudentRequest
from rules.idempotency import KeptAnswer, KeyedRequest
from rules.models import ClassRecord, StudentRecord

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

    async def create_class(
        self,
        request: KeyedRequest,
        wanted: NewClassRequest,
        answer: Callable[[ClassRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        """Create a class and answer it, as `once` would; simultaneous ones share a commit.

        Raises what `once` raises, and why the class is not created.
        """

    async def create_student(
        self,
        request: KeyedRequest,
        wanted: NewStudentRequest,
        answer: Callable[[StudentRecord], Awaitable[KeptAnswer]],
    ) -> KeptAnswer:
        """Create a student and answer it, likewise."""

    async def dry(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns, and take back all that it does. Raises what it raises."""
