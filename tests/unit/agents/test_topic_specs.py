"""In what topics differ from what the service needs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.kafka.topic_specs import (
    Differences,
    FoundTopic,
    TopicSpec,
    agreed,
    compare,
    specs,
)
from rules import topics
from tables.names import changelog_topic

CHANGELOG: Final = changelog_topic("group")
WANTED: Final = specs(8, CHANGELOG)


def as_wanted(wanted: list[TopicSpec] = WANTED) -> dict[str, FoundTopic]:
    return {s.name: FoundTopic(s.name, s.partitions, settings=s.config) for s in wanted}


def with_settings(topic: str, replicas: int = 1, **changes: str) -> Differences:
    """Compare where a topic has other settings; `_` stands for a dot."""
    found = as_wanted()
    named = {name.replace("_", "."): value for name, value in changes.items()}
    settings = {**(found[topic].settings or {}), **named}
    found[topic] = replace(found[topic], replicas=replicas, settings=settings)
    return compare(WANTED, found)


def test_topics_as_wanted_differ_in_nothing() -> None:
    found = compare(WANTED, as_wanted())
    assert (found.faults, found.warnings, found.unknown) == ([], [], [])


@pytest.mark.parametrize("topic", [spec.name for spec in WANTED])
def test_a_sender_s_clock_is_a_fault_on_every_topic(topic: str) -> None:
    [fault] = with_settings(topic, message_timestamp_type="CreateTime").faults
    assert fault.endswith("message.timestamp.type is CreateTime, should be LogAppendTime")


@pytest.mark.parametrize(
    ("settings", "replicas", "says"),
    [
        ({"min_insync_replicas": "1"}, 3, "one broker may lose messages"),
        ({"min_insync_replicas": "2"}, 1, "takes no message"),
        ({"unclean_leader_election_enable": "true"}, 3, "acknowledged messages may be lost"),
        ({"retention_bytes": "1000"}, 1, "may delete before retention.ms"),
    ],
)
def test_what_makes_messages_less_safe_is_a_warning(
    settings: Mapping[str, str], replicas: int, says: str
) -> None:
    found = with_settings(topics.TIMERS, replicas, **{"min_insync_replicas": "2", **settings})
    assert found.faults == []
    assert any(says in line for line in found.warnings), found.warnings


def test_durable_topics_warn_of_nothing() -> None:
    assert with_settings(topics.TIMERS, 3, min_insync_replicas="2").warnings == []


def test_settings_that_a_broker_does_not_tell_are_no_fault() -> None:
    found = as_wanted()
    found[topics.TIMERS] = replace(found[topics.TIMERS], settings=None)
    told = compare(WANTED, found)
    assert (told.faults, told.unknown) == ([], [topics.TIMERS])


counts = st.integers(1, 40)


@given(own=counts, timers=counts, changelog=counts)
def test_topics_of_the_timers_agree_once_they_are_grown(
    own: int, timers: int, changelog: int
) -> None:
    found = as_wanted(specs(own, CHANGELOG))
    for name, count in {topics.TIMERS: timers, CHANGELOG: changelog}.items():
        found[name] = replace(found[name], partitions=count)
    for name, count in compare(agreed(WANTED, found), found).few.items():
        assert count > found[name].partitions
        found[name] = replace(found[name], partitions=count)
    told = compare(WANTED, found)
    assert told.split is None
    assert found[CHANGELOG].partitions == max(8, timers, changelog)
    assert min(topic.partitions for topic in found.values()) >= 8
