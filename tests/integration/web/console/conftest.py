"""The console on either store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.web.api import OTHER, Api, Backend, Setup, serving
from tests.integration.web.console.pages import Visitor
from web.console.table import WITH_CONSOLE


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
