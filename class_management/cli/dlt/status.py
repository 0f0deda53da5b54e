"""Connects to the store of decisions about dead letters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from class_management.cli.store import open_store
from class_management.settings import Settings
from store.protocols.dead_letters import DeadLetterProtocol


@asynccontextmanager
async def decision_store(settings: Settings) -> AsyncIterator[DeadLetterProtocol]:
    """Connect to the store of decisions. Raises TroubleError, also for errors in the block."""
    in_memory = "only the worker itself knows what was decided"
    async with open_store(settings, in_memory) as store:
        yield store.get(DeadLetterProtocol)
