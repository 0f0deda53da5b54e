"""What every folder of tests may use."""

import asyncio
from collections.abc import Iterator

import pytest

from devstack.postgres import EmbeddedPostgres
from migrations.runner import upgrade

pytest_plugins = ["tests.support.parallel"]

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Start PostgreSQL for as long as the tests run, with a migrated database to copy."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        asyncio.run(upgrade(server.create_database(TEMPLATE)))
        yield server


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give a database without a schema."""
    yield postgres_server.create_database("empty")
    postgres_server.drop_database("empty")


@pytest.fixture(scope="module")
def migrated_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give a database with the newest schema to the tests of one module."""
    yield postgres_server.create_database("module", template=TEMPLATE)
    postgres_server.drop_database("module")
