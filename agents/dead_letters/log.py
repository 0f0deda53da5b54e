"""Reads the `.dlt` topics."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from aiokafka import TopicPartition

from agents.kafka.log_reader import Stretches
from agents.kafka.topic_log import TopicLog, all_of
from rules.dead_letters.letters import Address
from rules.models import Record

#: A letter is dated before it is published; the clocks may differ by so much.
MARGIN: Final = timedelta(minutes=10)


class DeadLetterLog:
    """The present content of the dead letter topics."""

    def __init__(self, log: TopicLog) -> None:
        self._log = log

    async def all(self, wanted: Collection[str]) -> AsyncIterator[Record]:
        """Return every record of these topics. Raises TopicLogError."""
        async for record in self._log.read(dict.fromkeys(await self._places(wanted), (0, None))):
            yield record

    async def bounds(
        self, wanted: Collection[str], since: datetime | None
    ) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return where these topics' partitions begin and end, as LogReader does.

        With `since`, partitions begin where a letter of then can be, or are left out.
        Raises TopicLogError.
        """
        bounds = await self._log.bounds(await self._places(wanted))
        if since is None:
            return bounds
        later = await self._log.since(bounds, since - MARGIN)
        return {place: (first, bounds[place][1]) for place, (first, _) in later.items()}

    def read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return the records of these stretches. Raises TopicLogError."""
        return self._log.read(stretches)

    async def at(self, addresses: Collection[Address]) -> AsyncIterator[Record]:
        """Return the records at these addresses, in order within each partition.

        Leaves out those that do not exist, or no longer. Raises TopicLogError.
        """
        existing = await self._places({address.topic for address in addresses})
        stretches: dict[TopicPartition, tuple[int, int | None]] = {}
        for address in addresses:
            place = TopicPartition(address.topic, address.partition)
            begin, end = stretches.get(place, (address.offset, 0))
            wanted = min(begin, address.offset), max(end or 0, address.offset + 1)
            if place in existing:
                stretches[place] = wanted
        chosen = set(addresses)
        async for record in self._log.read(stretches):
            if Address(record.topic, record.partition, record.offset) in chosen:
                yield record

    async def _places(self, wanted: Collection[str]) -> set[TopicPartition]:
        return all_of((await self._log.topics(wanted)).values())
