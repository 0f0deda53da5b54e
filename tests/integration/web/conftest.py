"""The API on either store, listening on a port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rules.models import Policy
from tests.integration.web.api import Api, Backend, Setup, serving
from tests.support.stores import OpenStores, memory_stores, opener


@pytest.fixture(params=["memory", "postgres"])
def open_backend(request: pytest.FixtureRequest) -> OpenStores:
    """Say how a store is opened."""
    return opener(request)


@pytest.fixture
async def backend(open_backend: OpenStores) -> AsyncIterator[Backend]:
    """Give an empty store."""
    async with open_backend(Policy()) as stores:
        yield stores


@pytest.fixture
async def memory_api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve from memory: for what has nothing to do with the store."""
    async with memory_stores(Policy()) as stores, serving(Setup(stores), tmp_path) as running:
        yield running


@pytest.fixture
async def api(backend: Backend, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(Setup(backend), tmp_path) as running:
        yield running
