"""Looks whether the topics are still those with which the worker started."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.kafka import topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import FoundTopic, TopicSpec, split
from agents.kafka.topics import TopicsError
from rules.topics import TIMERS
from telemetry.health import OK
from telemetry.logs import get_logger

LOOK_SECONDS: Final = 5.0
#: What one message asked is known to those after it for so long.
ASK_SECONDS: Final = 1.0
REMEDY: Final = "class-management topics create"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every topic, the changelog last, with the partitions that the table has."""

    wanted: Sequence[TopicSpec]
    replication_factor: int

    @property
    def changelog(self) -> str:
        """The name of the table's changelog."""
        return self.wanted[-1].name

    @property
    def partitions(self) -> int:
        """How many partitions the table has."""
        return self.wanted[-1].partitions


class TopicWatch:
    """Keeps what is wrong with the topics, makes a lost changelog, notices topics made anew."""

    def __init__(
        self,
        kafka: KafkaConfig,
        layout: Layout,
        reachable: Callable[[], bool],
        made_anew: Callable[[str], None],
    ) -> None:
        """`made_anew` is called with a topic that was deleted and made anew."""
        self._kafka = kafka
        self._layout = layout
        self._reachable = reachable
        self._made_anew = made_anew
        self._ids: dict[str, bytes] = {}
        self._missing: list[str] = []
        self._split: str | None = None
        self._partitions = layout.partitions
        #: What Kafka said last to who asked. Health has its own answer, from `look`.
        self._moved = False
        self._ask_again_at = 0.0
        self._told = OK

    async def run(self) -> None:
        """Keep looking, while Kafka answers others."""
        while True:
            if self._reachable() or not self._ids:
                try:
                    await self.look()
                except TopicsError as error:
                    _log.info("topics not looked at", reason=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    def topics(self) -> str:
        """Return "ok", or what somebody has to mend."""
        if self._missing:
            return f"missing: {', '.join(self._missing)}: {REMEDY}"
        return self._split or OK

    def table_partitions(self) -> str:
        """Return "ok", or that the table has other partitions than its topics."""
        if self._missing or self._split or self._partitions == self._layout.partitions:
            return OK
        return f"the topics have {self._partitions} partitions, the table {self._layout.partitions}"

    async def moved(self) -> bool:
        """Return whether the timers topic has other partitions than the table, or may have."""
        clock = asyncio.get_running_loop().time
        if clock() >= self._ask_again_at:
            try:
                found = await topics.found(self._kafka, [TIMERS])
            except TopicsError:
                return True
            self._ask_again_at = clock() + ASK_SECONDS
            timers = found.get(TIMERS)
            self._moved = timers is None or timers.partitions != self._layout.partitions
        return self._moved

    async def look(self) -> None:
        """Compare once. Raises TopicsError."""
        wanted = self._layout.wanted
        found = await topics.found(self._kafka, [spec.name for spec in wanted])
        if await topics.recreate_changelog(
            self._kafka, wanted, found, self._layout.replication_factor
        ):
            return
        self._note_missing([spec.name for spec in wanted if spec.name not in found])
        self._note_counts(found)
        self._note_ids(found)

    def _note_missing(self, missing: list[str]) -> None:
        if missing and not self._missing:
            _log.warning("topics are missing", topics=missing, mended_by=REMEDY)
        elif self._missing and not missing:
            _log.warning("topics are back")
        self._missing = missing

    def _note_counts(self, found: Mapping[str, FoundTopic]) -> None:
        self._split = split(found, self._layout.changelog)
        if TIMERS in found:
            self._partitions = found[TIMERS].partitions
        fault = self._split or self.table_partitions()
        if fault not in {OK, self._told}:
            _log.error("the table does not fit its topics", reason=fault)
        self._told = fault

    def _note_ids(self, found: Mapping[str, FoundTopic]) -> None:
        ids = {name: topic.topic_id for name, topic in found.items()}
        others = sorted(n for n, topic_id in ids.items() if self._ids.get(n, topic_id) != topic_id)
        self._ids |= ids
        if others:
            _log.warning("topics made anew", topics=others)
        for name in others:
            self._made_anew(name)
