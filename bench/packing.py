"""Messages sent in batches that are built here: a future for each batch, none for a message."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaProducer

from agents.kafka.partitioner import hashes_of, partition_of
from bench.kafka import BATCH_BYTES

#: Topic, key, value and headers.
Message: TypeAlias = tuple[str, bytes, bytes, list[tuple[str, bytes]]]

OPTIONS: Final = {"acks": "all", "max_batch_size": BATCH_BYTES}


class Packer:
    """Builds batches by partition, as a producer has to send them."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._partitions: dict[str, list[int]] = {}

    async def send(self, messages: Iterable[Message]) -> None:
        """Send messages, those of a partition in their order; return when the broker has all."""
        batches: dict[tuple[str, int], Any] = {}
        sent: list[asyncio.Future[Any]] = []
        all_messages = list(messages)
        hashes = hashes_of(key for _, key, _, _ in all_messages)
        for topic, key, value, headers in all_messages:
            partitions = self._partitions.get(topic) or await self._learn(topic)
            place = topic, partition_of(key, hashes, partitions)
            batch = batches.get(place)
            if batch is None:
                batch = batches[place] = self._producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                sent.append(await self._send(batch, place))
                batch = batches[place] = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        sent += [await self._send(batch, place) for place, batch in batches.items()]
        await asyncio.gather(*sent)

    async def _learn(self, topic: str) -> list[int]:
        found = self._partitions[topic] = sorted(await self._producer.partitions_for(topic))
        return found

    async def _send(self, batch: Any, place: tuple[str, int]) -> "asyncio.Future[Any]":  # noqa: ANN401  # aiokafka's
        batch.close()
        topic, partition = place
        sent: asyncio.Future[Any] = await self._producer.send_batch(
            batch, topic, partition=partition
        )
        return sent
