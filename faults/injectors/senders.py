"""Other programs' producers: with a codec, with transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaProducer

from devstack.rig.kafka import REQUEST_MS
from devstack.rig.kafka_clients import kafka_producer
from faults.injectors.scene import Scene
from faults.sender import LARGEST_REQUEST, Sender


@asynccontextmanager
async def own_producer(
    scene: Scene,
    **options: Any,  # noqa: ANN401  # aiokafka's
) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer of one's own to Kafka."""
    async with kafka_producer(
        scene.rig.bootstrap_servers,
        acks="all",
        request_timeout_ms=REQUEST_MS,
        max_request_size=LARGEST_REQUEST,
        **options,
    ) as producer:
        yield producer


@asynccontextmanager
async def own_sender(
    scene: Scene,
    **options: Any,  # noqa: ANN401  # aiokafka's
) -> AsyncIterator[Sender]:
    """Return a sender with a producer of its own and the history of all."""
    async with own_producer(scene, **options) as producer:
        yield replace(scene.sender, producer=producer)
