"""Fixes how aiokafka's connections break under uvloop (aiokafka's issue 1038)."""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def survive_closed_transports() -> None:
    """Make a request on a connection that has just closed fail as on any other broken one.

    After that asyncio's transports ignore writes; uvloop's raise RuntimeError, which aiokafka never
    expects. It silently ended the task that refreshes a client's metadata, and everything that
    needs metadata hung: after its broker crashed, a consumer still read, but had left its group and
    committed nothing.
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
