"""`class-management topics`: what it makes, what it finds to be wrong, and what it mends."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.kafka import topics as kafka_topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import Setting, specs
from devstack.broker import Broker
from devstack.rig.waiting import until
from devstack.stack import PREFIX, Stack, clean_environ
from rules import topics
from tables.names import changelog_topic
from tests.support.command_line import Done, call

OK, NO, TROUBLE = 0, 1, 2
CHANGELOG: Final = changelog_topic("class-management-service")
DEAD_COMMANDS: Final = topics.dead_letter_topic(topics.COMMANDS)
FEW: Final = "2"

pytestmark = pytest.mark.usefixtures("admin")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run the kind that BROKER names."""
    folder = tmp_path_factory.mktemp("topics")
    stack = Stack(folder, environ={"BROKER": os.environ.get("BROKER", "")})
    assert stack.broker is not None
    with stack.broker as server:
        yield server


@pytest.fixture
async def admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    """Have none of the topics at the beginning of a test."""
    client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await delete(broker, client, *(spec.name for spec in specs(1, CHANGELOG)))
        await client.close()


async def command(broker: Broker, *arguments: str, partitions: str = FEW) -> Done:
    environ = clean_environ() | {
        PREFIX + "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        PREFIX + "TOPIC_PARTITIONS": partitions,
    }
    return await call("topics", *arguments, environ=environ)


async def change(broker: Broker, topic: str, name: str, value: str) -> None:
    """Change a setting as an operator does."""
    setting = Setting(topic, name, found=None, wanted=value, own=True)
    await kafka_topics.mend(KafkaConfig(broker.bootstrap_servers), [setting])

    async def changed() -> bool:
        return (await settings_of(broker, topic)).get(name) == value

    await until(f"{name} of {topic} to be {value}", changed)


async def delete(broker: Broker, admin: AIOKafkaAdminClient, *names: str) -> None:
    """Delete topics, and wait until Kafka shows it."""
    await admin.delete_topics(list(names))

    async def gone() -> bool:
        return not await kafka_topics.found(KafkaConfig(broker.bootstrap_servers), names)

    await until(f"{names} to be gone", gone)


async def make(broker: Broker, admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
    """Make a topic without settings, and wait until Kafka shows it."""
    await admin.create_topics([NewTopic(name, partitions, 1)])

    async def there() -> bool:
        return bool(await kafka_topics.found(KafkaConfig(broker.bootstrap_servers), [name]))

    await until(f"{name} to be there", there)


async def settings_of(broker: Broker, topic: str) -> dict[str, str]:
    """Return the settings of a topic, as Kafka tells them."""
    kafka = KafkaConfig(broker.bootstrap_servers)
    async with kafka_topics._admin(kafka) as admin:
        found = (await kafka_topics._settings(admin, [topic]))[topic]
    assert found is not None
    return dict(found)


async def test_topics_are_made_with_the_brokers_clock(broker: Broker) -> None:
    """By a sender's clock Kafka refuses or deletes what comes from a worker with a wrong one."""
    assert (await command(broker, "create")).code == OK
    for spec in specs(1, CHANGELOG):
        found = await settings_of(broker, spec.name)
        assert found["message.timestamp.type"] == "LogAppendTime", spec.name
    assert (await settings_of(broker, CHANGELOG))["cleanup.policy"] == "compact"
    done = await command(broker, "check")
    assert (done.code, done.out, done.err) == (OK, "Every topic is as it should be.\n", "")


async def test_check_names_each_topic_that_is_missing(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    await command(broker, "create")
    await delete(broker, admin, topics.TIMERS, DEAD_COMMANDS)
    done = await command(broker, "check")
    assert done.code == NO
    assert sorted(done.out.splitlines()) == [
        f"topic {topics.TIMERS} is missing",
        f"topic {DEAD_COMMANDS} is missing",
    ]


OTHERWISE: Final = [
    (topics.CLASS_CREATED, "message.timestamp.type", "CreateTime", "LogAppendTime"),
    (topics.COMMAND_RESULTS, "max.message.bytes", "1048588", "8388608"),
    (topics.TIMERS, "retention.ms", "60000", "604800000"),
    (topics.STUDENT_CREATED, "cleanup.policy", "compact,delete", "delete"),
    (DEAD_COMMANDS, "retention.ms", "604800000", "2592000000"),
    (CHANGELOG, "cleanup.policy", "delete", "compact"),
    (CHANGELOG, "message.timestamp.type", "CreateTime", "LogAppendTime"),
]


@pytest.mark.parametrize(("topic", "name", "value", "wanted"), OTHERWISE)
async def test_what_differs_is_said_in_a_line_and_mended(
    broker: Broker, topic: str, name: str, value: str, wanted: str
) -> None:
    await command(broker, "create")
    before = await settings_of(broker, topic)
    await change(broker, topic, name, value)
    await change(broker, topic, "segment.ms", "7200000")
    done = await command(broker, "check")
    assert (done.code, done.out) == (
        NO,
        f"topic {topic}: {name} is {value}, should be {wanted}\n",
    )
    done = await command(broker, "create")
    assert done.code == OK
    assert f"topic {topic}: {name} set to {wanted}" in done.out
    # Nothing else is touched.
    assert await settings_of(broker, topic) == before | {"segment.ms": "7200000"}
    assert (await command(broker, "check")).code == OK


async def test_longer_retention_and_larger_messages_are_as_well(broker: Broker) -> None:
    await command(broker, "create")
    await change(broker, topics.CLASS_CREATED, "retention.ms", "-1")
    await change(broker, topics.CLASS_CREATED, "max.message.bytes", "20000000")
    assert (await command(broker, "check")).code == OK
    await command(broker, "create")
    found = await settings_of(broker, topics.CLASS_CREATED)
    assert (found["retention.ms"], found["max.message.bytes"]) == ("-1", "20000000")


async def test_dead_letters_take_what_their_topic_takes(broker: Broker) -> None:
    await command(broker, "create")
    await change(broker, topics.COMMANDS, "max.message.bytes", "20000000")
    wanted = 20_000_000 + 64 * 1024
    done = await command(broker, "check")
    assert f"topic {DEAD_COMMANDS}: max.message.bytes is" in done.out
    assert f"should be {wanted}" in done.out
    await command(broker, "create")
    assert (await settings_of(broker, DEAD_COMMANDS))["max.message.bytes"] == str(wanted)


async def test_topics_of_other_services_are_mended_only_if_asked(broker: Broker) -> None:
    await command(broker, "create")
    await change(broker, topics.COMMANDS, "message.timestamp.type", "CreateTime")
    line = (
        f"topic {topics.COMMANDS}, a topic of other services: "
        "message.timestamp.type is CreateTime, should be LogAppendTime"
    )
    assert (await command(broker, "check")).out == f"{line}\n"
    done = await command(broker, "create")
    assert done.code == OK
    assert f"{line}: topics create --consumed sets it" in done.err
    found = await settings_of(broker, topics.COMMANDS)
    assert found["message.timestamp.type"] == "CreateTime"
    await command(broker, "create", "--consumed")
    found = await settings_of(broker, topics.COMMANDS)
    assert found["message.timestamp.type"] == "LogAppendTime"


async def test_other_partitions_than_wanted_are_a_warning(broker: Broker) -> None:
    await command(broker, "create", partitions="4")
    done = await command(broker, "check")
    assert done.code == OK
    [line] = done.err.splitlines()
    assert "4 partitions, not 2 (TOPIC_PARTITIONS): " in line
    assert {topics.TIMERS, CHANGELOG} <= set(line.replace(",", " ").split())
    # No topic gets fewer partitions.
    assert (await command(broker, "create")).code == OK
    assert (await command(broker, "check")).err == done.err


async def test_a_topic_of_the_timers_that_is_missing_gets_the_partitions_of_the_other(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    await command(broker, "create", partitions="4")
    await delete(broker, admin, CHANGELOG)
    await command(broker, "create")
    names = [topics.TIMERS, CHANGELOG]
    found = await kafka_topics.found(KafkaConfig(broker.bootstrap_servers), names)
    assert {name: topic.partitions for name, topic in found.items()} == dict.fromkeys(names, 4)


async def test_a_timers_topic_and_a_changelog_that_differ_are_said_in_a_line(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    await make(broker, admin, CHANGELOG, 1)
    await make(broker, admin, topics.TIMERS, 2)
    done = await command(broker, "check")
    assert done.code == NO
    assert (
        f"topic {topics.TIMERS} has 2 partitions and its changelog {CHANGELOG} has 1: "
        "`class-management topics create` gives both 2"
    ) in done.out


async def test_a_broker_that_cannot_change_partitions_says_so(broker: Broker) -> None:
    if broker.keeps_data:
        pytest.skip("Apache Kafka can")
    await command(broker, "create")
    done = await command(broker, "create", partitions="4")
    assert (done.code, done.out) == (TROUBLE, "0 topics made, 18 were there.\n")
    assert done.err.count("\n") == 1
    assert "cannot give a topic more partitions" in done.err


async def test_what_counts_is_what_holds_the_brokers_defaults_included(
    broker: Broker, admin: AIOKafkaAdminClient
) -> None:
    if not broker.keeps_data:
        pytest.skip("the embedded broker has no defaults")
    await command(broker, "create")
    await delete(broker, admin, topics.TIMERS)
    await make(broker, admin, topics.TIMERS, int(FEW))
    done = await command(broker, "check")
    assert done.code == NO
    # The retention of a week and the policy are those of the broker, and as they should be.
    assert set(done.out.splitlines()) == {
        f"topic {topics.TIMERS}: message.timestamp.type is CreateTime, should be LogAppendTime",
        f"topic {topics.TIMERS}: max.message.bytes is 1048588, should be 8388608",
    }
