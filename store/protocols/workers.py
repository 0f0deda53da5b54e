"""The workers that run now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as it announces itself: where it answers, and what it holds of the stream table.

    `started_at` distinguishes its process from an earlier one of the same name.
    """

    worker: str
    url: str
    partitions: tuple[int, ...]
    version: str
    role: str
    started_at: datetime


class WorkerRegistryProtocol(Protocol):
    """The workers that run now. Times are the database's own."""

    async def announce(self, own: WorkerRecord, forget_seconds: float) -> list[WorkerRecord]:
        """Say that this worker runs; return the others, by name.

        Who has not announced itself for `forget_seconds` is forgotten.
        """

    async def known(self, forget_seconds: float) -> list[WorkerRecord]:
        """Return the workers that announced themselves that recently, by name."""

    async def withdraw(self, own: WorkerRecord) -> None:
        """Say that this worker ends; one that has its name by now stays."""
