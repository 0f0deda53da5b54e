"""Counts the dead letters that nobody has decided about, from the ends of their topics."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from math import nan
from typing import Final

from agents.kafka.config import KafkaConfig
from agents.kafka.log_reader import ReaderConfig, log_reader
from agents.kafka.topics import TopicsError, found
from rules import topics
from rules.dead_letters.letters import Stretch
from rules.errors import StoreUnavailableError
from store.protocols.dead_letters import DeadLetterProtocol
from telemetry.metrics import Metrics

MEASURE_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0
#: A broker that hangs is given up.
PATIENCE_SECONDS: Final = 10.0
READER: Final = ReaderConfig("class-management-dead-letters")


class OpenDeadLetters:
    """Publishes how many there are, without reading them; unknown while it cannot be asked."""

    def __init__(self, kafka: KafkaConfig, decisions: DeadLetterProtocol, metrics: Metrics) -> None:
        self._kafka = kafka
        self._decisions = decisions
        self._gauge = metrics.dead_letters_open
        self._show(dict.fromkeys(topics.DEAD_LETTER, nan))

    async def run(self) -> None:
        """Measure at intervals."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self._show(await self._count())
            except (OSError, TopicsError, StoreUnavailableError):
                # The probes tell that Kafka or PostgreSQL is away.
                self._show(dict.fromkeys(topics.DEAD_LETTER, nan))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                await asyncio.sleep(MEASURE_SECONDS)

    async def _count(self) -> dict[str, float]:
        stretches = await self._stretches()
        decided = await self._decisions.count_decided(stretches)
        letters = Counter[str]()
        for stretch in stretches:
            letters[stretch.topic] += stretch.end - stretch.begin
        return {topic: letters[topic] - decided.get(topic, 0) for topic in topics.DEAD_LETTER}

    async def _stretches(self) -> Sequence[Stretch]:
        existing = await found(self._kafka, topics.DEAD_LETTER)
        places = [
            (topic, partition)
            for topic in topics.DEAD_LETTER
            for partition in range(existing[topic].partitions if topic in existing else 0)
        ]
        async with log_reader(self._kafka, READER) as log:
            bounds = await log.bounds(places)
        return [Stretch(place.topic, place.partition, *ends) for place, ends in bounds.items()]

    def _show(self, counts: dict[str, float]) -> None:
        for topic, count in counts.items():
            self._gauge.labels(topic).set(count)
