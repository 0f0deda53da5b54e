"""Mends how aiokafka's connections break under uvloop (aiokafka's issue 1038)."""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def survive_closed_transports() -> None:
    """Have a request on a connection that has just closed fail like on any other broken one.

    asyncio's own transports ignore what is written to them after that; uvloop's raise RuntimeError,
    which aiokafka expects nowhere. The task that keeps a client's metadata ended by it without a
    word, and everything that waits for metadata waited for ever: after a crash of its broker a
    consumer went on to read, but was no member of its group any more and committed nothing.
    """
    AIOKafkaConnection.send = _send_or_break


def _send_or_break(
    connection: AIOKafkaConnection,
    request: Any,  # noqa: ANN401  # aiokafka has no types
    expect_response: bool = True,  # noqa: FBT001, FBT002  # aiokafka's signature
) -> Any:  # noqa: ANN401
    try:
        return _send(connection, request, expect_response)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(
            f"Connection at {connection.host}:{connection.port} closed"
        ) from error
