"""The workers that can be asked: any of them, and this process itself."""

from collections.abc import Sequence
from typing import Protocol

from web.inspection.answers import AnswerT
from web.inspection.operations import Local, LocalTableProtocol, Operation, ReconcilerProtocol
from web.inspection.queries import QueryT


class Part(Protocol):
    """A worker's part of the table."""

    @property
    def worker(self) -> str:
        """Its name."""

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it is known to hold, though it may not answer."""

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return its answer. May fail in any way, and take any time."""


class LocalPart:
    """The part of this process itself."""

    def __init__(self, table: LocalTableProtocol, reconciler: ReconcilerProtocol) -> None:
        self._local = Local(table, reconciler)

    @property
    def worker(self) -> str:
        """The name of this worker."""
        return self._local.table.holding().worker

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions that it holds."""
        return self._local.table.holding().partitions

    async def ask(self, operation: Operation[QueryT, AnswerT], query: QueryT) -> AnswerT:
        """Return this process's answer."""
        return await operation.local(self._local, query)
