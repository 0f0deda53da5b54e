"""Keeps the list of running workers, so that each can ask the others.

The list is in PostgreSQL and not in the metadata of Kafka's consumer group: a process that only
answers HTTP is not a member of the group, but has to know the workers too.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rules.errors import ServiceError
from store.protocols.workers import WorkerRecord, WorkerRegistryProtocol
from tables.pending import PendingTable

ANNOUNCE_SECONDS: Final = 3.0
#: Ten missed announcements: a busy worker is not forgotten, and a dead one is shown as unreachable
#: no longer than this.
FORGET_SECONDS: Final = 30.0
WITHDRAW_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker that holds partitions, so others ask it."""

    worker: str
    find_url: Callable[[], str]
    version: str
    role: str
    table: PendingTable


class WorkerList:
    """Knows the other workers, and announces this one if it has a `presence`."""

    def __init__(self, registry: WorkerRegistryProtocol, presence: Presence | None) -> None:
        self._registry = registry
        self._presence = presence
        self._started_at = datetime.now(UTC)
        self._peers: Sequence[WorkerRecord] = ()
        self._own: WorkerRecord | None = None
        self._announcing = asyncio.Lock()
        self._ended = False

    def peers(self) -> Sequence[WorkerRecord]:
        """Return the other workers as last read, even while PostgreSQL is away."""
        return self._peers

    def sharing(self) -> int:
        """Return how many workers publish from the outbox, this one included."""
        return len(self._peers) + 1

    def own(self) -> WorkerRecord | None:
        """Return this worker as it announced itself last, if it has."""
        return self._own

    async def run(self) -> None:
        """Announce and read: at once when the partitions change, else at intervals."""
        if self._presence is None:
            await self._keep_reading()
        else:
            await self._keep_announcing(self._presence)

    async def withdraw(self) -> None:
        """Remove this worker, if PostgreSQL answers at once; else it is forgotten later."""
        self._ended = True
        with contextlib.suppress(TimeoutError, ServiceError):
            async with asyncio.timeout(WITHDRAW_SECONDS), self._announcing:
                if self._own is not None:
                    await self._registry.withdraw(self._own)

    async def _keep_reading(self) -> None:
        while True:
            self._peers = await self._registry.known(FORGET_SECONDS)
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def _keep_announcing(self, presence: Presence) -> None:
        # In a thread, because it resolves names; again after each failure, because this machine may
        # have been without a network.
        url = await asyncio.to_thread(presence.find_url)
        while True:
            generation = presence.table.generation
            await self._announce(presence, url)
            await presence.table.changed(generation, ANNOUNCE_SECONDS)

    async def _announce(self, presence: Presence, url: str) -> None:
        async with self._announcing:
            if self._ended:
                return
            self._own = WorkerRecord(
                presence.worker,
                url,
                tuple(presence.table.partitions()),
                presence.version,
                presence.role,
                self._started_at,
            )
            self._peers = await self._registry.announce(self._own, FORGET_SECONDS)
