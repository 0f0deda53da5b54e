"""How far a group has come is kept with what makes it true, on both stores."""

from rules.dead_letters.messages import DeadLetter, Reason
from rules.ids import new_id
from rules.progress import Progress
from rules.suggestions import Outcome
from tests.integration.store.builders import Stores, deliver, make_classroom, result

GROUP = "group"
TOPIC = "topic"


def come_to(next_offset: int, partition: int = 0, group: str = GROUP) -> Progress:
    return Progress(group, TOPIC, partition, next_offset)


async def test_a_new_group_has_come_nowhere(stores: Stores) -> None:
    assert await stores.progress.stored(GROUP, TOPIC) == {}


async def test_stored_messages_carry_progress(stores: Stores) -> None:
    room = await make_classroom(stores)
    delivery = deliver(room.id, result())
    outcomes = (
        await stores.inbox.store_suggestions([delivery], [come_to(1), come_to(7, 3)])
    ).outcomes
    assert outcomes == [Outcome.STORED]
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 1, 3: 7}


async def test_parked_messages_carry_progress(stores: Stores) -> None:
    delivery = deliver(new_id(), result())
    outcomes = (await stores.inbox.store_suggestions([delivery], [come_to(1)])).outcomes
    assert outcomes == [Outcome.PARKED]
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 1}


async def test_dead_letters_carry_progress(stores: Stores) -> None:
    letter = DeadLetter(deliver(new_id()).record, Reason.UNREADABLE, "no JSON")
    assert await stores.inbox.dead_letter([letter], [come_to(1)]) == 1
    assert await stores.inbox.dead_letter([letter], [come_to(2)]) == 0
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 2}


async def test_without_progress_none_is_written(stores: Stores) -> None:
    await stores.inbox.store_suggestions([deliver(new_id(), result())])
    await stores.inbox.dead_letter([DeadLetter(deliver(new_id()).record, Reason.INVALID, "")])
    assert await stores.progress.stored(GROUP, TOPIC) == {}


async def test_what_was_written_last_counts_also_backwards(stores: Stores) -> None:
    for offset in (5, 9, 3):
        await stores.inbox.store_suggestions([], [come_to(offset), come_to(offset, 1)])
    await stores.inbox.store_suggestions([], [come_to(4, 1)])
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 3, 1: 4}


async def test_a_topic_made_anew_has_progress_at_its_beginning(stores: Stores) -> None:
    here = [come_to(5), come_to(6, 1), come_to(7, group="other")]
    await stores.inbox.store_suggestions([], [*here, Progress(GROUP, "elsewhere", 0, 8)])
    await stores.progress.forget(GROUP, TOPIC)
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 0, 1: 0}
    assert await stores.progress.stored("other", TOPIC) == {0: 7}
    assert await stores.progress.stored(GROUP, "elsewhere") == {0: 8}


async def test_groups_and_topics_do_not_mix(stores: Stores) -> None:
    await stores.inbox.store_suggestions([], [come_to(5), come_to(6, group="other")])
    await stores.inbox.dead_letter([], [Progress(GROUP, "elsewhere", 0, 7)])
    assert await stores.progress.stored(GROUP, TOPIC) == {0: 5}
    assert await stores.progress.stored("other", TOPIC) == {0: 6}
    assert await stores.progress.stored(GROUP, "elsewhere") == {0: 7}
    assert await stores.progress.stored("other", "elsewhere") == {}
