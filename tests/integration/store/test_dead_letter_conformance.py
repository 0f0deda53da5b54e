"""What people decide about dead letters, and what came of the replays: every store's promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from rules import topics
from rules.dead_letters.letters import Address, Letter, Stretch, read_letter, replay_message
from rules.dead_letters.messages import DeadLetter, Reason
from rules.dead_letters.replays import Decided, Ended, LetterDecision, Replay, State, state_of
from rules.ids import new_id
from rules.models import OutboxMessage, Record
from rules.suggestions import Outcome
from tests.integration.store.builders import (
    Published,
    Stores,
    anew,
    caller,
    deliver,
    make_class,
    new_class,
    parse,
    result,
    store_one,
)
from tests.support import commands
from tests.support.commands import TEACHER

DEAD: Final = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
RETRY: Final = timedelta(seconds=60)


def buried(message: OutboxMessage, offset: int = 7) -> Record:
    """Return a published dead letter as it lies in its topic."""
    at_ms = 1_700_000_000_000
    return Record(
        message.topic, 2, offset, at_ms, message.key, message.value, headers=message.headers
    )


def letter_of(published: list[Published], offset: int = 7) -> Record:
    [dead] = [one for one in published if one.topic in topics.DEAD_LETTER]
    return buried(dead.message, offset)


def replay_of(record: Record) -> Replay:
    letter, replay_id = read_letter(record), new_id()
    return Replay(replay_id, letter.id, letter.address, replay_message(record, replay_id))


def consumed(message: OutboxMessage, like: Record) -> Record:
    """Return a replayed message as Kafka delivers it: another record of the same topic."""
    assert message.topic == like.topic
    return replace(like, offset=like.offset + 1000, headers=message.headers)


async def decided(stores: Stores, letter: UUID) -> Decided | None:
    return (await stores.dead_letters.decided([letter, new_id()])).get(letter)


async def a_letter(stores: Stores) -> Record:
    await stores.inbox.dead_letter(
        [DeadLetter(deliver(new_id()).record, Reason.INVALID, "missing at /data")]
    )
    return letter_of(await stores.published())


def as_address(letter: Letter) -> tuple[UUID, Address]:
    return letter.id, letter.address


async def test_nothing_is_decided_about_a_new_letter(stores: Stores) -> None:
    letter = read_letter(await a_letter(stores))
    assert await stores.dead_letters.decided([letter.id]) == {}
    assert await stores.dead_letters.decided([]) == {}
    assert state_of(None) is State.OPEN


async def test_a_replay_is_published_with_the_decision(stores: Stores) -> None:
    replay = replay_of(await a_letter(stores))
    assert await stores.dead_letters.replay([replay], again=False) == [replay.letter]
    [sent] = await stores.published()
    assert sent.message == replay.message
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.decision, found.replay_id, found.outcome) == (
        LetterDecision.REPLAYED,
        replay.id,
        None,
    )
    assert state_of(found) is State.UNDERWAY


async def test_a_letter_is_replayed_once_however_many_try(stores: Stores) -> None:
    record = await a_letter(stores)
    several = [replay_of(record) for _ in range(4)]
    taken = await asyncio.gather(
        *(stores.dead_letters.replay([one], again=False) for one in several)
    )
    assert sorted(taken) == [[], [], [], [several[0].letter]]
    assert len(await stores.published()) == 1
    assert await stores.dead_letters.replay([several[0]], again=False) == []
    assert await stores.published() == []


async def test_of_several_letters_the_new_ones_are_taken(stores: Stores) -> None:
    first, second = replay_of(await a_letter(stores)), replay_of(await a_letter(stores))
    await stores.dead_letters.drop([(first.letter, first.address)], again=False)
    both = [first, second]
    assert await stores.dead_letters.replay(both, again=False) == [second.letter]
    assert [one.message for one in await stores.published()] == [second.message]


async def test_a_letter_is_replayed_again_where_that_is_asked_for(stores: Stores) -> None:
    record = await a_letter(stores)
    first, second = replay_of(record), replay_of(record)
    await stores.dead_letters.replay([first], again=False)
    await stores.inbox.note_replays([Ended(first.id, "stored")])
    assert await stores.dead_letters.replay([second], again=True) == [second.letter]
    assert len(await stores.published()) == 2
    # What becomes of the first says nothing of the second.
    await stores.inbox.note_replays([Ended(first.id, "stored")])
    found = await decided(stores, second.letter)
    assert found is not None
    assert (found.replay_id, found.outcome, found.outcome_at) == (second.id, None, None)


async def test_a_dropped_letter_stays_dropped_until_it_is_replayed_again(stores: Stores) -> None:
    record = await a_letter(stores)
    letter = read_letter(record)
    assert await stores.dead_letters.drop([as_address(letter)], again=False) == [letter.id]
    assert await stores.dead_letters.drop([as_address(letter)], again=False) == []
    assert state_of(await decided(stores, letter.id)) is State.DROPPED
    assert await stores.dead_letters.replay([replay_of(record)], again=False) == []
    assert await stores.published() == []
    assert await stores.dead_letters.replay([replay_of(record)], again=True) == [letter.id]
    assert await stores.dead_letters.drop([as_address(letter)], again=True) == [letter.id]
    assert state_of(await decided(stores, letter.id)) is State.DROPPED


async def test_a_letter_in_a_topic_that_was_made_anew_is_another(stores: Stores) -> None:
    record = await a_letter(stores)
    await stores.dead_letters.drop([as_address(read_letter(record))], again=False)
    other = read_letter(replace(record, timestamp_ms=record.timestamp_ms + 1))
    assert await decided(stores, other.id) is None


# --- what came of a replay -----------------------------------------------------------------------


async def test_suggestions_that_are_stored_leave_a_trace(stores: Stores) -> None:
    class_id = new_id()
    early = deliver(class_id, result())
    await store_one(stores, early)
    await stores.elapse(RETRY)
    await stores.inbox.retry_parked(parse, 10)
    replay = replay_of(letter_of(await stores.published()))
    await make_class(stores, caller(), new_class(class_id=class_id))
    await stores.dead_letters.replay([replay], again=False)
    record = consumed(replay.message, early.record)
    assert await store_one(stores, replace(early, record=record)) is Outcome.STORED
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.outcome, found.reason, state_of(found)) == ("stored", None, State.TAKEN)
    assert found.outcome_at is not None
    # Kafka may bring it again.
    assert await store_one(stores, replace(early, record=record)) is Outcome.DUPLICATE
    assert await decided(stores, replay.letter) == found


async def test_a_replay_that_waits_for_its_class_and_finds_it(stores: Stores) -> None:
    class_id = new_id()
    early = deliver(class_id, result())
    await stores.inbox.dead_letter([DeadLetter(early.record, Reason.PROCESSING_FAILED, "")])
    replay = replay_of(letter_of(await stores.published()))
    await stores.dead_letters.replay([replay], again=False)
    record = consumed(replay.message, early.record)
    for expected in (Outcome.PARKED, Outcome.DUPLICATE):
        assert await store_one(stores, replace(early, record=record)) is expected
        found = await decided(stores, replay.letter)
        assert found is not None
        assert (found.outcome, state_of(found)) == ("parked", State.UNDERWAY)
    await make_class(stores, caller(), new_class(class_id=class_id))
    await stores.elapse(timedelta(seconds=1))
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.STORED]
    assert state_of(await decided(stores, replay.letter)) is State.TAKEN


async def test_a_replay_that_fails_again_says_why(stores: Stores) -> None:
    early = deliver(new_id(), result())
    await stores.inbox.dead_letter([DeadLetter(early.record, Reason.PROCESSING_FAILED, "")])
    replay = replay_of(letter_of(await stores.published()))
    await stores.dead_letters.replay([replay], again=False)
    record = consumed(replay.message, early.record)
    await store_one(stores, replace(early, record=record))
    await stores.elapse(RETRY)
    assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.DEAD_LETTERED]
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.outcome, found.reason) == ("dead_lettered", "class_not_found")
    assert state_of(found) is State.FAILED
    # The new letter says whose replay it was, and is open itself.
    again = read_letter(letter_of(await stores.published(DEAD), 8))
    assert (again.replay_id, again.replayed_from) == (replay.id, replay.address)
    assert await decided(stores, again.id) is None


async def test_a_replay_that_cannot_be_read_again_says_why(stores: Stores) -> None:
    replay = replay_of(await a_letter(stores))
    await stores.dead_letters.replay([replay], again=False)
    record = consumed(replay.message, deliver(new_id()).record)
    for _ in range(2):
        await stores.inbox.dead_letter([DeadLetter(record, Reason.UNREADABLE, "")])
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.outcome, found.reason) == ("dead_lettered", "unreadable")


async def test_commands_that_are_carried_out_leave_a_trace(stores: Stores) -> None:
    delivery = commands.deliver("class.create", TEACHER, name="9A", course_codes=["SV1"])
    letter = DeadLetter(delivery.record, Reason.PROCESSING_FAILED, "builtins.ValueError")
    await stores.inbox.dead_letter([letter])
    replay = replay_of(letter_of(await stores.published()))
    await stores.dead_letters.replay([replay], again=False)
    again = replace(delivery, record=consumed(replay.message, delivery.record))
    # A redelivery in the same batch does not hide what the first came to.
    await stores.commands.apply_commands([commands.deliver("class.delete"), again, again])
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.outcome, state_of(found)) == ("applied", State.TAKEN)


async def test_refused_command_has_been_handled_as_well(stores: Stores) -> None:
    delivery = commands.deliver("class.delete", class_id=new_id())
    await stores.inbox.dead_letter([DeadLetter(delivery.record, Reason.INVALID, "")])
    replay = replay_of(letter_of(await stores.published()))
    await stores.dead_letters.replay([replay], again=False)
    record = consumed(replay.message, delivery.record)
    await stores.commands.apply_commands([replace(delivery, record=record)])
    found = await decided(stores, replay.letter)
    assert found is not None
    assert (found.outcome, state_of(found)) == ("rejected", State.TAKEN)


async def test_a_replay_that_nobody_knows_is_a_message_like_any_other(stores: Stores) -> None:
    teacher = caller()
    cls = await make_class(stores, teacher)
    delivery = anew(deliver(cls.id, result()))
    for claimed in (str(new_id()).encode(), b"\xff", b""):
        headers = (*delivery.record.headers, ("dlt-replay-id", claimed))
        await store_one(stores, replace(delivery, record=replace(delivery.record, headers=headers)))
    await stores.inbox.note_replays([Ended(new_id(), "stored")])
    await stores.inbox.note_replays([])


async def test_replays_are_those_that_were_sent(stores: Stores) -> None:
    first, second = replay_of(await a_letter(stores)), replay_of(await a_letter(stores))
    await stores.dead_letters.replay([first], again=False)
    await stores.dead_letters.drop([(second.letter, second.address)], again=False)
    assert await stores.inbox.sent_replays([first.id, second.id, new_id()]) == {first.id}
    assert await stores.inbox.sent_replays([]) == set()


# --- forgetting ----------------------------------------------------------------------------------


async def test_decisions_are_forgotten_when_they_are_old(stores: Stores) -> None:
    old, young = read_letter(await a_letter(stores)), read_letter(await a_letter(stores))
    await stores.dead_letters.drop([as_address(old)], again=False)
    await stores.elapse(timedelta(days=100))
    await stores.dead_letters.drop([as_address(young)], again=False)
    await stores.elapse(timedelta(days=81))
    assert await stores.dead_letters.forget(180) == 1
    assert await stores.dead_letters.forget(180) == 0
    assert list(await stores.dead_letters.decided([old.id, young.id])) == [young.id]


async def test_letters_decided_about_are_counted_where_they_lie(stores: Stores) -> None:
    first = await a_letter(stores)
    letters = [read_letter(replace(first, offset=offset)) for offset in (3, 4, 5)]
    await stores.dead_letters.drop([as_address(one) for one in letters[:2]], again=False)
    await stores.dead_letters.replay([replay_of(replace(first, offset=5))], again=False)

    async def count(begin: int, end: int, partition: int = 2) -> dict[str, int]:
        return await stores.dead_letters.count_decided([Stretch(DEAD, partition, begin, end)])

    assert await count(0, 100) == {DEAD: 3}
    assert await count(4, 5) == {DEAD: 1}
    assert await count(6, 100) == {}
    assert await count(0, 100, partition=1) == {}
    # A topic made anew has another letter at the same address: one place is one letter.
    again = read_letter(replace(first, offset=5, value=b"another"))
    await stores.dead_letters.drop([as_address(again)], again=False)
    assert await count(0, 100) == {DEAD: 3}
    assert await stores.dead_letters.count_decided([]) == {}
