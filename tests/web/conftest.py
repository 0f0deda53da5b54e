"""The API on a store, listening on a port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rules.models import Policy
from store.memory import MemoryAssociationRepository, MemoryClassRepository, MemoryStore
from tests.web.api import Api, Backend, Setup, serving


@dataclass(frozen=True)
class MemoryBackend:
    classes: MemoryClassRepository
    associations: MemoryAssociationRepository


@pytest.fixture
async def backend() -> Backend:
    """Give an empty store. To run the same tests on PostgreSQL, parametrise this fixture."""
    store = MemoryStore(Policy())
    return MemoryBackend(MemoryClassRepository(store), MemoryAssociationRepository(store))


@pytest.fixture
async def api(backend: Backend, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(Setup(backend.classes, backend.associations), tmp_path) as running:
        yield running
