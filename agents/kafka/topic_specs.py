"""The topics as the service needs them, and in what those that are there differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agents.kafka.config import MAX_MESSAGE_BYTES
from rules import topics
from rules.sizes import DEAD_LETTER_HEADERS_BYTES

#: As Kafka writes that something has no limit.
UNLIMITED: Final = -1

CLEANUP: Final = "cleanup.policy"
RETENTION: Final = "retention.ms"
SIZE: Final = "max.message.bytes"
TIMESTAMPS: Final = "message.timestamp.type"
#: By a sender's clock, Kafka refuses what comes from the future, and retention deletes at once
#: what comes from a past beyond it.
BROKERS_CLOCK: Final = "LogAppendTime"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be: the values in `least` may be larger."""

    name: str
    partitions: int
    exact: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    #: Published or kept by this service; other services own what it consumes.
    own: bool = True

    @property
    def config(self) -> dict[str, str]:
        """The settings of a new topic."""
        return {**self.exact, **{name: str(value) for name, value in self.least.items()}}


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it is; a broker may not tell all settings, or none: then `settings` is None."""

    name: str
    partitions: int
    replicas: int = 1
    topic_id: bytes = b""
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a topic that is not as it should be."""

    topic: str
    name: str
    found: str | None
    wanted: str
    own: bool

    def __str__(self) -> str:
        """Return the line that a person reads."""
        found = "not set" if self.found is None else self.found
        whose = "" if self.own else ", a topic of other services"
        return f"topic {self.topic}{whose}: {self.name} is {found}, should be {self.wanted}"


@dataclass(frozen=True, slots=True)
class Differences:
    """In what the topics differ from their specifications."""

    missing: list[str] = field(default_factory=list)
    #: Partitions of the timers topic and of its changelog, where these differ from each other.
    split: str | None = None
    settings: list[Setting] = field(default_factory=list)
    #: Topics with fewer partitions than they should have, and how many they should.
    few: dict[str, int] = field(default_factory=dict)
    #: What holds all the same: other partitions than wanted, and how safe a message is.
    warnings: list[str] = field(default_factory=list)
    #: Topics whose settings Kafka does not tell.
    unknown: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """A line for each that has to be mended."""
        missing = [f"topic {name} is missing" for name in self.missing]
        split = [self.split] if self.split else []
        return [*missing, *split, *map(str, self.settings)]


def specs(partitions: int, changelog: str) -> list[TopicSpec]:
    """Return every topic that the service uses.

    The timers topic has as many partitions as the changelog, because the table lives where its
    messages are read.
    """
    exact = {CLEANUP: "delete", TIMESTAMPS: BROKERS_CLOCK}
    kept = {RETENTION: topics.RETENTION_MS, SIZE: MAX_MESSAGE_BYTES}
    letters = {
        RETENTION: topics.DEAD_LETTER_RETENTION_MS,
        SIZE: MAX_MESSAGE_BYTES + DEAD_LETTER_HEADERS_BYTES,
    }
    return [
        *(TopicSpec(name, partitions, exact, kept) for name in (*topics.PUBLISHED, topics.TIMERS)),
        *(TopicSpec(name, partitions, exact, kept, own=False) for name in topics.CONSUMED),
        *(TopicSpec(name, partitions, exact, letters) for name in topics.DEAD_LETTER),
        TopicSpec(changelog, partitions, {CLEANUP: "compact", TIMESTAMPS: BROKERS_CLOCK}),
    ]


def compare(wanted: Sequence[TopicSpec], found: Mapping[str, FoundTopic]) -> Differences:
    """Compare the topics that are there with their specifications, the changelog last."""
    there = [(_fitting(spec, found), found[spec.name]) for spec in wanted if spec.name in found]
    return Differences(
        missing=[spec.name for spec in wanted if spec.name not in found],
        split=split(found, wanted[-1].name),
        settings=[one for spec, topic in there for one in _settings(spec, topic)],
        few={s.name: s.partitions for s, topic in there if topic.partitions < s.partitions},
        warnings=[
            *_other_counts(there),
            *(line for spec, topic in there for line in _warnings(spec, topic)),
        ],
        unknown=[spec.name for spec, topic in there if topic.settings is None],
    )


def split(found: Mapping[str, FoundTopic], changelog: str) -> str | None:
    """Say that the timers topic and its changelog do not fit each other; None if they do."""
    if topics.TIMERS not in found or changelog not in found:
        return None
    timers, kept = found[topics.TIMERS].partitions, found[changelog].partitions
    if timers == kept:
        return None
    return (
        f"topic {topics.TIMERS} has {timers} partitions and its changelog {changelog} has {kept}: "
        f"`class-management topics create` gives both {max(timers, kept)}"
    )


def together(wanted: Sequence[TopicSpec], partitions: int) -> list[TopicSpec]:
    """Return the specifications with so many partitions of the timers topic and its changelog."""
    pair = (topics.TIMERS, wanted[-1].name)
    return [replace(s, partitions=partitions) if s.name in pair else s for s in wanted]


def agreed(wanted: Sequence[TopicSpec], found: Mapping[str, FoundTopic]) -> list[TopicSpec]:
    """Return the specifications with what both topics of the timers can have: at least what is.

    A topic never gets fewer partitions.
    """
    pair = (topics.TIMERS, wanted[-1].name)
    there = [found[name].partitions for name in pair if name in found]
    return together(wanted, max(wanted[-1].partitions, *there, 1))


def _fitting(spec: TopicSpec, found: Mapping[str, FoundTopic]) -> TopicSpec:
    """Return a specification by which the topic of dead letters takes what their topic takes."""
    source = found.get(spec.name.removesuffix(".dlt"))
    size = (source.settings or {}).get(SIZE) if source else None
    if spec.name not in topics.DEAD_LETTER or size is None:
        return spec
    larger = max(spec.least[SIZE], int(size) + DEAD_LETTER_HEADERS_BYTES)
    return replace(spec, least={**spec.least, SIZE: larger})


def _settings(spec: TopicSpec, topic: FoundTopic) -> Iterator[Setting]:
    if topic.settings is None:
        return
    for name, value in spec.exact.items():
        found = topic.settings.get(name)
        if found is None or _parts(found) != _parts(value):
            yield Setting(spec.name, name, found, value, spec.own)
    for name, least in spec.least.items():
        found = topic.settings.get(name)
        if found is None or UNLIMITED != int(found) < least:
            yield Setting(spec.name, name, found, str(least), spec.own)


def _parts(value: str) -> set[str]:
    """Return the parts of a list, such as of two policies."""
    return {part.strip() for part in value.split(",")}


def _other_counts(there: Sequence[tuple[TopicSpec, FoundTopic]]) -> Iterator[str]:
    """Yield a line for each number of partitions that is not the wanted one."""
    names: dict[tuple[int, int], list[str]] = {}
    for spec, topic in there:
        if topic.partitions != spec.partitions:
            names.setdefault((topic.partitions, spec.partitions), []).append(spec.name)
    for (count, wanted), of in names.items():
        yield f"{count} partitions, not {wanted} (TOPIC_PARTITIONS): {', '.join(of)}"


def _warnings(spec: TopicSpec, topic: FoundTopic) -> Iterator[str]:
    if topic.settings is None:
        return
    if spec.own:
        yield from (f"topic {spec.name}: {line}" for line in _unsafe(topic, topic.settings))
    limit = topic.settings.get("retention.bytes", str(UNLIMITED))
    if RETENTION in spec.least and int(limit) != UNLIMITED:
        yield f"topic {spec.name}: retention.bytes is {limit}, which may delete before retention.ms"


def _unsafe(topic: FoundTopic, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield what may lose messages that Kafka has acknowledged, or has it take none."""
    in_sync = int(settings.get("min.insync.replicas", "1"))
    if in_sync > topic.replicas:
        yield f"min.insync.replicas is {in_sync} of {topic.replicas} replicas: it takes no message"
    elif in_sync == 1 < topic.replicas:
        yield f"min.insync.replicas is 1 of {topic.replicas} replicas: one broker may lose messages"
    if settings.get("unclean.leader.election.enable") == "true":
        yield "unclean.leader.election.enable is true: acknowledged messages may be lost"
