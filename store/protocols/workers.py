"""The workers that run now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as it announces itself: its address, and its partitions of the stream table.

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
        """Announce this worker; return the others, by name.

        Workers not announced for `forget_seconds` are forgotten.
        """

    async def known(self, forget_seconds: float) -> list[WorkerRecord]:
        """Return the workers announced within `forget_seconds`, by name."""

    async def withdraw(self, own: WorkerRecord) -> None:
        """Remove this worker, unless another one has its name by now."""
