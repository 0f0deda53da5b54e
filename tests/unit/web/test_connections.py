"""What a connection does when it is looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiohttp import web
from aiohttp.web_server import Server

from web.connections import Connection
from web.limits import ConnectionLimits


class FakeTransport(asyncio.Transport):
    """Keeps what it cannot send: its client takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.aborted = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: object) -> None:
        pass


def told(_response: web.StreamResponse) -> None:
    pass


async def nothing(_request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError("nobody asks here")


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    server = Server(nothing)
    limits = ConnectionLimits(write_seconds=30)
    connection = Connection(server, limits, told=told, loop=asyncio.get_running_loop())
    yield connection
    connection.connection_lost(None)


async def test_a_closed_connection_has_as_long_to_send_the_rest_as_an_open_one(
    connection: Connection,
) -> None:
    transport = FakeTransport()
    connection.connection_made(transport)
    transport.close()
    for now, gone in ((100.0, False), (130.0, False), (130.1, True)):
        connection.check(cast("asyncio.Transport", transport), now)
        assert transport.aborted == gone
