"""A connection to Kafka that has just closed."""

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from agents.faust_support.connections import survive_closed_transports


async def ask_after_the_end() -> None:
    """Send a request before the reader has noticed that its transport is gone."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = AIOKafkaConnection(host, port)
    connection._versions = {MetadataRequest.API_KEY: (0, 1)}
    reader, connection._writer = await asyncio.open_connection(host, port)
    await reader.read()
    connection._writer.transport.abort()
    await asyncio.sleep(0.01)
    try:
        await connection.send(MetadataRequest([]))
    finally:
        server.close()


def test_a_request_on_a_closed_transport_fails_as_a_broken_connection() -> None:
    survive_closed_transports()
    with pytest.raises(KafkaConnectionError):
        uvloop.run(ask_after_the_end())
