"""The console on either store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rules.models import Policy
from tests.integration.store.builders import Stores
from tests.integration.web.api import OTHER, Api, Backend, Setup, serving
from tests.integration.web.console.pages import Visitor
from tests.support.stores import OpenStores
from web.console.table import WITH_CONSOLE


@pytest.fixture
async def stores(open_backend: OpenStores) -> AsyncIterator[Stores]:
    """Give an empty store, with what only operators see of it."""
    async with open_backend(Policy()) as opened:
        yield opened


@pytest.fixture
async def console(backend: Backend, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(Setup(backend), tmp_path, WITH_CONSOLE) as running:
        yield running


@pytest.fixture
def teacher(console: Api) -> Visitor:
    return Visitor(console)


@pytest.fixture
def other(console: Api) -> Visitor:
    return Visitor(console, OTHER)
