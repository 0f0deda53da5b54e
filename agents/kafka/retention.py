"""Tells of offsets that a log no longer has: retention deleted them before they were read."""

from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_log: Final = get_logger(__name__)


class LostOffsets:
    """Logs and counts lost offsets; may be called in any thread."""

    def __init__(self, metrics: Metrics, agents: Mapping[str, str]) -> None:
        """`agents` has the agent that reads each topic."""
        self._metrics = metrics
        self._agents = agents

    def report(self, place: TopicPartition, begin: int, end: int) -> None:
        """Report offsets from `begin` to before `end`; those of other topics are not reported."""
        agent = self._agents.get(place.topic)
        if agent is None:
            return
        self._metrics.offsets_lost.labels(agent).inc(end - begin)
        _log.warning(
            "deleted before it was read",
            topic=place.topic,
            partition=place.partition,
            begin=begin,
            end=end,
        )
