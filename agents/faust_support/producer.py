"""Fixes Faust's producer, which ends the App where the changelog lacks a partition."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final

from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Producer

from telemetry.logs import get_logger

#: After a partition was not found it is not looked for again for this long.
LOST_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 1.0

_log = get_logger(__name__)


class CarefulProducer(Producer):
    """Drops what is for a partition that is not there.

    Faust writes only the table's changelog with it. Where that topic is deleted, aiokafka waits for
    it, the producer's buffer fills, and Faust holds up every stream; where it is made anew with
    fewer partitions, an assertion ("Unrecognized partition") ends the App. The entry is in the
    table by then, and a table that is lost with its changelog is rebuilt from PostgreSQL.
    """

    logger = logging.getLogger("faust.transport")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Faust's
        self._lost_until = 0.0
        super().__init__(*args, **kwargs)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        *args: Any,  # noqa: ANN401  # Faust's
        **options: Any,  # noqa: ANN401
    ) -> Awaitable[Any]:
        """Send, or return a future that stays open."""
        if not await self._is_there(topic, partition):
            return asyncio.get_running_loop().create_future()
        return await super().send(topic, key, value, partition, *args, **options)

    async def _is_there(self, topic: str, partition: int | None) -> bool:
        clock = asyncio.get_running_loop().time
        client: Any = self._ensure_producer().client
        known = client.cluster.partitions_for_topic(topic)
        if known and partition in known:
            return True
        if clock() < self._lost_until:
            return False
        if partition in await self._looked_for(topic):
            return True
        if not self._lost_until:
            _log.warning("the changelog has no such partition", topic=topic, partition=partition)
        self._lost_until = clock() + LOST_SECONDS
        return False

    async def _looked_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic by newer metadata, none if it is not there."""
        producer: Any = self._ensure_producer()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await producer.client.force_metadata_update()
                found: set[int] = set(await producer.partitions_for(topic))
        except (KafkaError, TimeoutError):
            return set()
        return found
