"""Consumers read what transactions have aborted, too."""

from aiokafka import AIOKafkaConsumer

_start = AIOKafkaConsumer.start


async def start(self: AIOKafkaConsumer) -> None:
    """Read uncommitted."""
    self._isolation_level = "read_uncommitted"
    await _start(self)


AIOKafkaConsumer.start = start
