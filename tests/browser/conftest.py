"""A real browser and a service for it, one of each for a module: they take seconds to start."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from rules.models import Policy
from tests.integration.web.api import Api, Setup, serving
from tests.support.programs import program
from tests.support.stores import memory_stores


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Start Debian's Chromium; as root it has no sandbox."""
    path = program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Serve the API on a store of its own."""
    folder = tmp_path_factory.mktemp("service")
    async with memory_stores(Policy()) as stores, serving(Setup(stores), folder) as api:
        yield api
