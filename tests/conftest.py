"""What every folder of tests may use."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from devstack.postgres import EmbeddedPostgres
from migrations.runner import upgrade
from tests.support import profiles
from tests.support.shared import copied, made_once

pytest_plugins = [
    "tests.support.parallel",
    "tests.support.progress",
    "tests.support.published",
    "tests.support.seeds",
    "tests.support.simulated_time",
]

profiles.register()

# What this terminal, or a CI, says of colours and sizes is not meant for the commands under test.
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)

# Rich's pictures of what failed, with every local variable, take seconds.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)


@pytest.fixture(scope="session")
def postgres_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a stopped PostgreSQL with the newest schema, which is to be copied."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(folder: Path) -> None:
        with EmbeddedPostgres(folder) as server:
            asyncio.run(upgrade(server.url))

    return made_once(shared / "postgres-template", make)


@pytest.fixture(scope="session")
def postgres_server(
    postgres_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    """Start PostgreSQL for as long as the tests run, with a migrated database to copy."""
    folder = copied(postgres_data, tmp_path_factory.mktemp("server") / "postgres")
    # Nothing here outlives a crash of the machine.
    with EmbeddedPostgres(folder, settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give a database without a schema."""
    yield postgres_server.create_database("empty")
    postgres_server.drop_database("empty")


@pytest.fixture(scope="module")
def migrated_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Give a database with the newest schema to the tests of one module."""
    yield postgres_server.create_database("module", template=postgres_server.database)
    postgres_server.drop_database("module")
