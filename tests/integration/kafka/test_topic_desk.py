"""What operators' pages read from topics, on a real broker."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.kafka import topics as kafka_topics
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_specs import specs
from class_management import topic_desk
from class_management.topic_desk import Letters, TopicDesk, TopicEvents
from devstack.broker import Broker
from devstack.ports import LOOPBACK, free_port
from devstack.rig.kafka_clients import kafka_producer
from devstack.rig.waiting import until
from devstack.stack import Stack
from rules import topics
from rules.dead_letters.filters import Filter
from rules.dead_letters.letters import Address
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.dead_letters.replays import LetterDecision, State
from rules.dead_letters.tally import Left
from rules.models import Policy, Record
from rules.story import Story, What
from tables.names import changelog_topic
from tests.integration.store.builders import Stores, make_batch
from tests.support.raw_batches import write_damaged
from tests.support.stores import memory_stores
from web.console.desk import TopicsAwayError, TopicsBusyError

TOPICS: Final = specs(2, changelog_topic("class-management-service"))
RETRY: Final = timedelta(minutes=1)
POISON: Final = b"{"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run the kind that BROKER names."""
    stack = Stack(tmp_path_factory.mktemp("desk"), environ={"BROKER": os.environ.get("BROKER", "")})
    assert stack.broker is not None
    with stack.broker as server:
        yield server


@pytest.fixture
async def kafka(broker: Broker) -> KafkaConfig:
    """Have every topic there."""
    config = KafkaConfig(broker.bootstrap_servers)
    names = [spec.name for spec in TOPICS]
    if len(await kafka_topics.found(config, names)) < len(names):
        await kafka_topics.create(config, TOPICS, 1)

        async def there() -> bool:
            return len(await kafka_topics.found(config, names)) == len(names)

        await until("the topics to be there", there)
    return config


@pytest.fixture
async def producer(kafka: KafkaConfig) -> AsyncIterator[AIOKafkaProducer]:
    async with kafka_producer(kafka.bootstrap_servers) as producer:
        yield producer


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    async with memory_stores(Policy()) as stores:
        yield stores


@pytest.fixture
def desk(kafka: KafkaConfig) -> TopicDesk:
    return TopicDesk(kafka)


@pytest.fixture
def letters(desk: TopicDesk, stores: Stores) -> Letters:
    return Letters(desk, stores.dead_letters)


async def bury(
    producer: AIOKafkaProducer,
    key: str,
    partition: int = 0,
    reason: Reason = Reason.UNREADABLE,
    value: bytes = POISON,
) -> Address:
    """Have a message of this key lie among the dead letters."""
    taken = Record(topics.MATCHES_SUGGESTED, partition, 7, 0, key.encode(), value, (("h", b"1"),))
    letter = dead_letter_message(DeadLetter(taken, reason, "no JSON"), datetime.now(UTC))
    sent = await producer.send_and_wait(
        letter.topic, letter.value, letter.key, partition, headers=list(letter.headers)
    )
    return Address(letter.topic, partition, sent.offset)


async def found(letters: Letters, key: str, *, everything: bool = False) -> list[Address]:
    page = await letters.page(Filter(key=key), 50, everything=everything, before=None)
    assert (page.after, page.is_cut_off) == (None, False)
    return [one.letter.address for one in page.statuses]


async def test_letters_are_found_the_newest_first_a_page_at_a_time(
    letters: Letters, producer: AIOKafkaProducer
) -> None:
    buried = [await bury(producer, "paged", n % 2) for n in range(7)]
    assert await found(letters, "paged") == buried[::-1]
    wanted = Filter(key="paged", since=datetime.now(UTC) - timedelta(hours=1))
    seen: list[Address] = []
    before = None
    while True:
        page = await letters.page(wanted, 3, everything=False, before=before)
        seen += [one.letter.address for one in page.statuses]
        before = page.after
        if before is None:
            break
    assert seen == buried[::-1]


async def test_a_letter_is_shown_whole(letters: Letters, producer: AIOKafkaProducer) -> None:
    address = await bury(producer, "shown", value=b'{"a": 1}')
    shown = await letters.show(address)
    assert shown is not None
    status, record = shown
    assert (status.state, status.letter.reason) == (State.OPEN, "unreadable")
    assert (record.value, record.key) == (b'{"a": 1}', b"shown")
    nowhere = Address(address.topic, 1, 999_999)
    assert await letters.show(nowhere) is None
    assert [one.letter.address for one in await letters.statuses([nowhere, address])] == [address]


async def test_letters_are_replayed_once_and_dropped(
    letters: Letters, producer: AIOKafkaProducer, stores: Stores
) -> None:
    first, second = [await bury(producer, "decided", n) for n in range(2)]
    nowhere = Address(first.topic, 0, 999_999)
    done = await letters.decide([first, nowhere], LetterDecision.REPLAYED, again=False)
    assert [one.address for one in done.tally.letters] == [first]
    assert (done.missing, done.trouble) == ([nowhere], None)
    [sent] = await stores.published()
    assert sent.message.topic == topics.MATCHES_SUGGESTED
    assert (sent.message.key, sent.message.value) == (b"decided", POISON)
    assert dict(sent.message.headers)["dlt-replayed-from"] == str(first).encode()
    again = await letters.decide([first], LetterDecision.REPLAYED, again=False)
    assert list(again.tally.left.values()) == [Left.DECIDED_MEANWHILE]
    assert await stores.published() == []
    done = await letters.decide([second], LetterDecision.DROPPED, again=False)
    assert [one.address for one in done.tally.letters] == [second]
    assert await found(letters, "decided") == [first]
    assert set(await found(letters, "decided", everything=True)) == {first, second}


async def story_of(stores: Stores) -> Story:
    batch = await make_batch(stores, 0.9)
    story = await stores.stories.story(batch.id)
    assert story is not None
    return story


async def test_the_events_of_a_batch_are_read(
    desk: TopicDesk, producer: AIOKafkaProducer, stores: Stores
) -> None:
    story = await story_of(stores)
    value = orjson.dumps({"data": {"batch_id": str(story.batch_id)}})
    address = await bury(producer, "its key", 1, Reason.BATCH_CLOSED, value)
    await bury(producer, "another's", 1)
    events = await TopicEvents(desk, RETRY).of_story(story)
    assert (events.trouble, events.is_cut_off) == (None, False)
    [step] = events.steps
    assert (step.what, step.details["reason"]) == (What.DEAD_LETTER, "batch_closed")
    assert step.details["offset"] == address.offset


async def test_one_reading_at_a_time(
    desk: TopicDesk,
    letters: Letters,
    producer: AIOKafkaProducer,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = await bury(producer, "turns")
    story = await story_of(stores)
    async with desk.turn():
        waiting = asyncio.create_task(letters.show(address))
        await asyncio.sleep(0)
        assert not waiting.done()
    assert await waiting is not None
    monkeypatch.setattr(topic_desk, "TURN_SECONDS", 0.01)
    async with desk.turn():
        for read in (
            letters.show(address),
            letters.decide([address], LetterDecision.DROPPED, again=False),
            TopicEvents(desk, RETRY).of_story(story),
        ):
            with pytest.raises(TopicsBusyError):
                await read
    assert await found(letters, "turns") == [address]


async def test_when_the_time_is_up_it_says_so(
    letters: Letters,
    desk: TopicDesk,
    producer: AIOKafkaProducer,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = await bury(producer, "slow")
    for name in ("LOOK_SECONDS", "DECIDE_SECONDS"):
        monkeypatch.setattr(topic_desk, name, 0.0)
    page = await letters.page(Filter(key="slow"), 50, everything=False, before=None)
    assert (list(page.statuses), page.is_cut_off) == ([], True)
    with pytest.raises(TopicsAwayError, match="longer than"):
        await letters.show(address)
    done = await letters.decide([address], LetterDecision.DROPPED, again=False)
    assert (done.tally.letters, "longer than" in str(done.trouble)) == ([], True)
    assert (await TopicEvents(desk, RETRY).of_story(await story_of(stores))).is_cut_off


async def test_they_are_read_to_their_ends_also_behind_what_nobody_can_decode(
    broker: Broker, desk: TopicDesk, letters: Letters, producer: AIOKafkaProducer, stores: Stores
) -> None:
    story = await story_of(stores)
    key = str(story.batch_id)
    for _ in range(3):
        await write_damaged(broker, producer, TopicPartition(topics.DEAD_LETTER[0], 1))
        await write_damaged(broker, producer, TopicPartition(topics.MATCHES_SUGGESTED, 0))
    address = await bury(producer, key, 1)
    events = await TopicEvents(desk, RETRY).of_story(story)
    assert (events.trouble, events.is_cut_off) == (None, False)
    assert [step.details["offset"] for step in events.steps] == [address.offset]
    assert await found(letters, key) == [address]


async def test_without_kafka_it_says_so(stores: Stores) -> None:
    desk = TopicDesk(KafkaConfig(f"{LOOPBACK}:{free_port()}"))
    letters = Letters(desk, stores.dead_letters)
    nowhere: Sequence[Address] = [Address(topics.DEAD_LETTER[0], 0, 1)]
    with pytest.raises(TopicsAwayError):
        await letters.page(Filter(), 50, everything=False, before=None)
    done = await letters.decide(nowhere, LetterDecision.REPLAYED, again=False)
    assert done.trouble
    assert (await TopicEvents(desk, RETRY).of_story(await story_of(stores))).trouble
