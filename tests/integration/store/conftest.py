"""Both stores behind one fixture: what a test here says holds for each."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from rules.models import Policy
from tests.integration.store.builders import MakeStores, Stores
from tests.support import past, told
from tests.support.stores import OpenStores, opener


@pytest.fixture(params=["memory", "postgres"])
def open_stores(request: pytest.FixtureRequest) -> OpenStores:
    """Say how a store is opened."""
    return opener(request)


@pytest.fixture
async def make_stores(open_stores: OpenStores) -> AsyncIterator[MakeStores]:
    """Make a store with a policy of its own; whatever a test does there is remembered."""
    made: list[Stores] = []
    async with AsyncExitStack() as stack:

        async def make(policy: Policy) -> Stores:
            made.append(await stack.enter_async_context(open_stores(policy)))
            return made[-1]

        yield make
        if made:
            await past.check(made[-1].past)
            await told.check(made[-1].past, await told.told(made[-1].feed))


@pytest.fixture
async def stores(make_stores: MakeStores) -> Stores:
    """Make a store with the default policy."""
    return await make_stores(Policy())
