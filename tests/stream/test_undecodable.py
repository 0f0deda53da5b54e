"""Every compression is read; what cannot be decoded is passed over and told, and stops nothing."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.kafka.config import KafkaConfig
from agents.kafka.fetching import fetch_carefully
from agents.kafka.log_reader import ReaderConfig, log_reader
from agents.kafka.partitioner import partition_for
from devstack.apache import ApacheKafka
from devstack.rig.database import Database
from devstack.rig.http import Teacher
from devstack.rig.kafka import (
    COMMAND_RESULTS,
    COMMANDS,
    DEAD_COMMANDS,
    DEAD_SUGGESTIONS,
    PARTITIONS,
    TIMERS,
    Message,
    Topics,
    committed,
)
from devstack.rig.kafka_clients import kafka_consumer, kafka_producer
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, suggest
from devstack.rig.waiting import until
from tables.names import changelog_topic
from tests.stream.test_rebuilding import entry_of, tables
from tests.stream.test_skipped import LOWER_PROGRESS, found
from tests.support.command_line import call
from tests.support.commands import envelope
from tests.support.raw_batches import (
    CODECS,
    FAULTS,
    ZSTD,
    bomb,
    broken,
    damage_on_disk,
    produce,
)

CHANGELOG: Final = changelog_topic("class-management-service")
DEAD_TIMERS: Final = f"{TIMERS}.dlt"
MIB: Final = 1024 * 1024
#: The embedded broker looks at codec and length itself, and counts offsets by the header's end.
WRITABLE: Final = sorted(FAULTS.keys() - {"codec", "length", "no end"})

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def careful() -> None:
    """Have the test's own clients pass over what cannot be decoded, too."""
    fetch_carefully()


@pytest.fixture
async def raw(host: Host) -> AsyncIterator[AIOKafkaProducer]:
    """Write batches that Apache Kafka would refuse."""
    assert host.stack.broker is not None
    if host.stack.broker.keeps_data:
        pytest.skip("Apache Kafka refuses broken batches: another test damages its files")
    async with kafka_producer(host.stack.broker.bootstrap_servers) as producer:
        yield producer


def key_in(partition: int, prefix: str) -> str:
    """Return a key that belongs to a partition."""
    places = range(PARTITIONS)
    keys = (f"{prefix}-{number}" for number in range(10_000))
    return next(key for key in keys if partition_for(key.encode(), places) == partition)


async def letters(topics: Topics, topic: str, place: tuple[int, int]) -> list[Message]:
    """Return the dead letters of a batch that lies at a partition and offset."""

    def is_it(letter: Message) -> bool:
        headers = dict(letter.headers)
        lies = headers.get("dlt-partition", b""), headers.get("dlt-offset", b"")
        return tuple(map(bytes.decode, lies)) == tuple(map(str, place))

    async def look() -> list[Message]:
        return [letter for letter in topics.of(topic) if is_it(letter)]

    return await until(f"a letter of {place} in {topic}", look)


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
async def test_every_compression_is_read_on_every_topic(
    host: Host, teacher: Teacher, topics: Topics, codec: str
) -> None:
    assert host.stack.broker is not None
    class_id = await teacher.new_class()
    roster = await teacher.new_roster(1)
    batch = suggest(class_id, [])
    timed = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(timed)
    entry = await entry_of(teacher.http, timed)
    command = envelope("class.create", teacher.id, name="Nian", course_codes=["SV1"])
    cleared = {"event_id": command["event_id"], "data": {"event": "cleared"}}
    cleared["data"]["batch_id"] = timed.batch_id
    options = {"compression_type": codec, "linger_ms": 20}
    async with kafka_producer(host.stack.broker.bootstrap_servers, **options) as sender:
        for _ in range(3):
            await sender.send(TOPIC, batch.value, key=batch.batch_id.encode())
        await sender.send(COMMANDS, orjson.dumps(command), key=teacher.id.encode())
        await sender.send(TIMERS, orjson.dumps(cleared), key=timed.batch_id.encode())

    await teacher.stored(batch.batch_id)
    await topics.expect(COMMAND_RESULTS, str(command["event_id"]))

    async def gone() -> bool:
        path = f"/internal/v1/tables/pending-associations/{entry['batch_id']}"
        return (await teacher.http.internal(path)).status == 404

    await until("the timer to be cleared", gone)


async def test_what_the_broker_itself_compresses_is_read(host: Host) -> None:
    assert host.stack.broker is not None
    if not host.stack.broker.keeps_data:
        pytest.skip("the embedded broker keeps batches as they are")
    servers, topic = host.stack.broker.bootstrap_servers, f"compressed-{uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    config = {"compression.type": "zstd"}
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=config)])
    async with kafka_producer(servers) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"value" * 100)
    await admin.close()
    async with log_reader(KafkaConfig(servers), ReaderConfig("test")) as log:
        reading = log.read({TopicPartition(topic, 0): (0, None)})
        values: list[bytes | None] = []
        while reading.unread:
            values += [one.value for some in (await reading.poll()).values() for one in some]
    assert values == [b"value" * 100] * 3


async def test_what_cannot_be_decoded_is_dead_lettered_once_and_the_stream_goes_on(
    teacher: Teacher, topics: Topics, raw: AIOKafkaProducer, service: ServiceProcess
) -> None:
    """One kind of fault in each partition, with a good message behind it."""
    class_id = await teacher.new_class()
    assert len(WRITABLE) <= PARTITIONS
    pid = service.pid
    places, behind = [], []
    for partition, fault in enumerate(WRITABLE):
        data = broken(fault, codec=ZSTD if fault == "payload" else 0)
        places.append((partition, await produce(raw, TopicPartition(TOPIC, partition), data)))
        message = suggest(class_id, [])
        await topics.suggest(message, key=key_in(partition, teacher.id))
        behind.append(message)
    for message in behind:
        await teacher.stored(message.batch_id)

    await topics.settle([DEAD_SUGGESTIONS])
    for partition, offset in places:
        (letter,) = await letters(topics, DEAD_SUGGESTIONS, (partition, offset))
        assert (letter.key, letter.value) == (None, None)
        assert letter.header("dlt-reason") == "undecodable_batch"
        assert letter.header("dlt-topic") == TOPIC
        assert letter.header("dlt-last-offset") == str(offset + 2)
        assert f"offsets {offset} to " in letter.header("dlt-exception")
    assert service.pid == pid


@pytest.mark.parametrize("codec", CODECS)
async def test_what_is_damaged_on_the_brokers_disk_is_passed_over(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, codec: str
) -> None:
    broker = host.stack.broker
    if not isinstance(broker, ApacheKafka):
        pytest.skip("the embedded broker has no files")
    class_id = await teacher.new_class()
    first, behind = suggest(class_id, []), suggest(class_id, [])
    partition, _ = await topics.send(first.value, first.batch_id)
    await teacher.stored(first.batch_id)
    await asyncio.to_thread(service.end)
    options = {} if codec == "none" else {"compression_type": codec}
    async with kafka_producer(broker.bootstrap_servers, linger_ms=50, **options) as sender:
        sent = [
            await sender.send(TOPIC, os.urandom(200), key=first.batch_id.encode()) for _ in range(3)
        ]
        offsets = [(await one).offset for one in sent]
    damage_on_disk(broker, TopicPartition(TOPIC, partition))
    await topics.send(behind.value, first.batch_id)
    await asyncio.to_thread(service.start)

    await teacher.stored(behind.batch_id)
    (letter,) = await letters(topics, DEAD_SUGGESTIONS, (partition, offsets[0]))
    assert letter.header("dlt-reason") == "undecodable_batch"
    assert letter.header("dlt-last-offset") == str(offsets[-1])


async def test_a_batch_that_unpacks_to_gigabytes_is_passed_over(
    teacher: Teacher, topics: Topics, raw: AIOKafkaProducer
) -> None:
    class_id = await teacher.new_class()
    offset = await produce(raw, TopicPartition(TOPIC, 0), bomb(ZSTD, 512 * MIB))
    message = suggest(class_id, [])
    await topics.suggest(message, key=key_in(0, teacher.id))
    await teacher.stored(message.batch_id)
    (letter,) = await letters(topics, DEAD_SUGGESTIONS, (0, offset))
    assert letter.header("dlt-reason") == "undecodable_batch"


async def test_commands_timers_and_dead_letters_go_on_behind_it(
    host: Host,
    teacher: Teacher,
    topics: Topics,
    raw: AIOKafkaProducer,
) -> None:
    roster = await teacher.new_roster(1)
    command = envelope("class.create", teacher.id, name="Nian", course_codes=["SV1"])
    partition = partition_for(teacher.id.encode(), range(PARTITIONS))
    timed = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    timer = partition_for(timed.batch_id.encode(), range(PARTITIONS))
    in_commands = await produce(raw, TopicPartition(COMMANDS, partition), broken("checksum"))
    in_timers = await produce(raw, TopicPartition(TIMERS, timer), broken("form"))
    await produce(raw, TopicPartition(DEAD_COMMANDS, partition), broken("checksum"))
    await topics.send(orjson.dumps(command), teacher.id, topic=COMMANDS)
    await topics.suggest(timed)

    await topics.expect(COMMAND_RESULTS, str(command["event_id"]))
    await entry_of(teacher.http, timed)
    (letter,) = await letters(topics, DEAD_COMMANDS, (partition, in_commands))
    assert letter.header("dlt-reason") == "undecodable_batch"
    # The command reads the topic behind the batch that lies in it, and says what it left out.
    listed = await listed_letters(host)
    origins = {(at["topic"], at["offset"]) for one in listed if (at := one["from"])}
    assert {(COMMANDS, in_commands), (TIMERS, in_timers)} <= origins


async def listed_letters(host: Host) -> list[dict[str, Any]]:
    """Return what `dlt list` prints."""
    done = await call("dlt", "list", "--all", "--json", environ=host.command_environ())
    assert done.code == 0, done.err
    assert f"{DEAD_COMMANDS}, partition" in done.err
    return done.lines


async def test_what_is_read_again_with_such_a_batch_is_told_once(
    host: Host,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
    raw: AIOKafkaProducer,
) -> None:
    """As after a restored database: progress has gone back, and a hole is read again."""
    class_id = await teacher.new_class()
    first, last = suggest(class_id, []), suggest(class_id, [])
    key = key_in(3, teacher.id)
    await topics.suggest(first, key=key)
    offset = await produce(raw, TopicPartition(TOPIC, 3), broken("checksum"))
    await topics.suggest(last, key=key)
    await teacher.stored(last.batch_id)
    assert host.stack.broker is not None
    await committed(host.stack.broker.bootstrap_servers)
    await asyncio.to_thread(service.end)
    await database.execute(LOWER_PROGRESS, 5, TOPIC, 3)
    await asyncio.to_thread(service.again)

    assert await found(service, 3, offset + 4) == len(["first", "the batch", "last"])
    await topics.settle([DEAD_SUGGESTIONS])
    assert len(await letters(topics, DEAD_SUGGESTIONS, (3, offset))) == 1


async def test_the_table_is_restored_from_a_changelog_with_such_a_batch(
    host: Host,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    raw: AIOKafkaProducer,
) -> None:
    roster = await teacher.new_roster(1)
    batches = [suggest(roster.class_id, [(roster.student_ids[0], 0.9)]) for _ in range(20)]
    for batch in batches:
        await topics.suggest(batch)
    entries = [await entry_of(teacher.http, batch) for batch in batches]
    partition = entries[0]["partition"]
    offset = await produce(raw, TopicPartition(CHANGELOG, partition), broken("checksum"))
    service.end()
    shutil.rmtree(tables(host))
    await asyncio.to_thread(service.start)

    for batch, entry in zip(batches, entries, strict=True):
        now = await entry_of(teacher.http, batch)
        assert now["armed_at"] == entry["armed_at"]
    assert host.stack.broker is not None
    async with kafka_consumer(host.stack.broker.bootstrap_servers) as consumer:
        places = [TopicPartition(DEAD_TIMERS, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        found: list[Mapping[str, bytes]] = []

        async def look() -> bool:
            fetched = await consumer.getmany(timeout_ms=200)
            found.extend(dict(record.headers) for some in fetched.values() for record in some)
            return any(letter.get("dlt-topic") == CHANGELOG.encode() for letter in found)

        await until("a dead letter of the changelog", look)
    (letter,) = [letter for letter in found if letter.get("dlt-topic") == CHANGELOG.encode()]
    assert letter["dlt-offset"] == str(offset).encode()
