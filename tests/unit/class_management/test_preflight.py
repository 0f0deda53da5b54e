"""What the start makes of a database that does not answer as it should."""

import asyncpg
import pytest

from class_management.preflight import _schema_fault
from class_management.settings import SettingsError
from migrations import revision


class Closed:
    """A connection that the server closed as soon as it was open."""

    async def fetchval(self, _query: str) -> object:
        raise asyncpg.InterfaceError("connection is closed")

    async def close(self) -> None:
        """Do nothing: it is closed."""


async def test_a_connection_that_the_server_closes_does_not_end_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(_dsn: str, _seconds: float) -> Closed:
        return Closed()

    monkeypatch.setattr(revision, "connect", connect)
    assert await _schema_fault("postgresql://host/name") is None


async def test_an_address_that_cannot_be_read_ends_it() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        await _schema_fault("postgresql://host/name?sslmode=sometimes")
