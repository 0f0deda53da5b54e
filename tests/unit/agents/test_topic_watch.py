"""What the watch says of topics that change under a running worker."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from agents.jobs.topic_watch import Layout, TopicWatch
from agents.kafka import topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import FoundTopic, specs
from rules.topics import COMMANDS, MATCHES_SUGGESTED, TIMERS
from tables.names import changelog_topic
from telemetry.health import OK

CHANGELOG: Final = changelog_topic("group")
WANTED: Final = specs(8, CHANGELOG)


class Kafka:
    """Topics as they are; a changelog that alone is missing is made anew, if it can be."""

    def __init__(self) -> None:
        self.topics = {s.name: FoundTopic(s.name, 8, topic_id=b"1") for s in WANTED}
        self.makes_changelog = True

    async def found(self, *_args: object) -> Mapping[str, FoundTopic]:
        return dict(self.topics)

    async def recreate_changelog(self, *_args: object) -> bool:
        if self.makes_changelog and {s.name for s in WANTED} - self.topics.keys() == {CHANGELOG}:
            self.change(CHANGELOG, topic_id=b"2")
            return True
        return False

    def change(self, *names: str, **changes: Any) -> None:  # noqa: ANN401
        for name in names:
            self.topics[name] = replace(
                self.topics.get(name, FoundTopic(name, 8)),
                **changes,
            )


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    kafka = Kafka()
    monkeypatch.setattr(topics, "found", kafka.found)
    monkeypatch.setattr(topics, "recreate_changelog", kafka.recreate_changelog)
    return kafka


class Fixture:
    def __init__(self) -> None:
        self.made_anew: list[str] = []
        config, layout = KafkaConfig("127.0.0.1:9092"), Layout(WANTED, 1)
        self.watch = TopicWatch(config, layout, lambda: True, self.made_anew.append)

    async def says(self) -> tuple[str, str]:
        await self.watch.look()
        return self.watch.topics(), self.watch.table_partitions()


@pytest.fixture
def fixture(kafka: Kafka) -> Fixture:
    assert kafka.topics
    return Fixture()


async def test_topics_as_they_were_are_well(fixture: Fixture) -> None:
    assert await fixture.says() == (OK, OK)
    assert fixture.made_anew == []


async def test_each_missing_topic_is_named_until_it_is_back(fixture: Fixture, kafka: Kafka) -> None:
    await fixture.says()
    gone = {name: kafka.topics.pop(name) for name in (COMMANDS, TIMERS)}
    names = ", ".join(spec.name for spec in WANTED if spec.name in gone)
    assert await fixture.says() == (f"missing: {names}: class-management topics create", OK)
    kafka.topics |= gone
    assert await fixture.says() == (OK, OK)


async def test_only_topics_with_another_id_are_made_anew(fixture: Fixture, kafka: Kafka) -> None:
    await fixture.says()
    gone = kafka.topics.pop(MATCHES_SUGGESTED)
    await fixture.says()
    kafka.topics[MATCHES_SUGGESTED] = gone
    await fixture.says()
    assert fixture.made_anew == []
    kafka.change(MATCHES_SUGGESTED, topic_id=b"2")
    await fixture.says()
    await fixture.says()
    assert fixture.made_anew == [MATCHES_SUGGESTED]


async def test_a_changelog_that_alone_is_missing_is_no_fault(
    fixture: Fixture, kafka: Kafka
) -> None:
    await fixture.says()
    del kafka.topics[CHANGELOG]
    assert await fixture.says() == (OK, OK)
    assert CHANGELOG in kafka.topics
    kafka.makes_changelog = False
    del kafka.topics[CHANGELOG]
    told, _ = await fixture.says()
    assert CHANGELOG in told


@pytest.mark.parametrize("grown", [TIMERS, CHANGELOG])
async def test_topics_of_the_timers_that_differ_are_for_people_to_mend(
    fixture: Fixture, kafka: Kafka, grown: str
) -> None:
    kafka.change(grown, partitions=12)
    told, table = await fixture.says()
    assert "class-management topics create` gives both 12" in told
    assert table == OK


async def test_topics_that_have_grown_alike_need_a_restart(fixture: Fixture, kafka: Kafka) -> None:
    kafka.change(TIMERS, CHANGELOG, partitions=12)
    assert await fixture.says() == (OK, "the topics have 12 partitions, the table 8")


async def test_new_partitions_of_other_topics_are_no_fault(fixture: Fixture, kafka: Kafka) -> None:
    kafka.change(MATCHES_SUGGESTED, COMMANDS, partitions=12)
    assert await fixture.says() == (OK, OK)


async def test_whether_partitions_moved_is_asked_of_kafka(fixture: Fixture, kafka: Kafka) -> None:
    """Before the next look: by then the messages in moved partitions would be dead letters."""
    await fixture.says()
    kafka.change(TIMERS, partitions=12)
    assert await fixture.watch.moved()


async def test_a_message_that_asks_changes_nothing_of_what_health_says(
    fixture: Fixture, kafka: Kafka
) -> None:
    """A missing topic says nothing of the table's partitions: no restart would mend it."""
    await fixture.says()
    del kafka.topics[TIMERS]
    assert await fixture.watch.moved()
    assert await fixture.watch.moved()
    assert fixture.watch.table_partitions() == OK


async def test_partitions_that_did_not_move(fixture: Fixture) -> None:
    assert not await fixture.watch.moved()


async def test_without_kafka_partitions_may_have_moved(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object) -> None:
        raise topics.TopicsError

    monkeypatch.setattr(topics, "found", away)
    assert await fixture.watch.moved()
