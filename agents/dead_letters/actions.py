"""Replays and drops dead letters in portions, and waits for the outcomes of replays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from agents.dead_letters.log import DeadLetterLog
from rules.dead_letters.letters import Letter, read_letter, replay_message
from rules.dead_letters.messages import LEFT_OUT
from rules.dead_letters.replays import Decided, Replay, State, state_of
from rules.dead_letters.tally import Left, Tally, is_too_large
from rules.ids import new_id
from rules.models import Record
from rules.sizes import size_of
from store.protocols.dead_letters import DeadLetterProtocol

#: The limits of one transaction: the relay keeps a shard locked while it publishes.
LETTERS_AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 8 * 1024 * 1024
DROPS_AT_ONCE: Final = 1_000
POLL_SECONDS: Final = 0.2


async def replay(
    log: DeadLetterLog,
    store: DeadLetterProtocol,
    letters: Sequence[Letter],
    tally: Tally,
    *,
    again: bool,
) -> None:
    """Send letters to their topics again; `tally` holds the progress, also after an error.

    Raises TopicLogError and StoreUnavailableError; a second call continues where this one ended.
    """
    wanted = {letter.id: letter for letter in letters}
    async for portion in _portions(log, wanted, tally):
        accepted = set(await store.replay(portion, again=again))
        for one in portion:
            tally.add(wanted.pop(one.letter), accepted)
    tally.left |= dict.fromkeys(wanted.values(), Left.GONE_MEANWHILE)


async def drop(
    store: DeadLetterProtocol, letters: Sequence[Letter], tally: Tally, *, again: bool
) -> None:
    """Mark letters as never to be replayed; `tally` and errors as of `replay`."""
    for begin in range(0, len(letters), DROPS_AT_ONCE):
        portion = letters[begin : begin + DROPS_AT_ONCE]
        decided = [(letter.id, letter.address) for letter in portion]
        accepted = set(await store.drop(decided, again=again))
        for letter in portion:
            tally.add(letter, accepted)


async def outcomes(
    store: DeadLetterProtocol,
    letters: Sequence[Letter],
    patience: float,
    on_outcome: Callable[[Letter, Decided], None],
) -> list[Letter]:
    """Report each replay when it is handled; return the rest after `patience` idle seconds."""
    waiting = {letter.id: letter for letter in letters}
    clock = asyncio.get_running_loop().time
    last_outcome = clock()
    while waiting and clock() - last_outcome <= patience:
        await asyncio.sleep(POLL_SECONDS)
        for decided in _handled(await store.decided(list(waiting))):
            on_outcome(waiting.pop(decided.letter), decided)
            last_outcome = clock()
    return list(waiting.values())


def _handled(decisions: Mapping[UUID, Decided]) -> Iterator[Decided]:
    unfinished = {State.OPEN, State.UNDERWAY}
    return (one for one in decisions.values() if state_of(one) not in unfinished)


async def _portions(
    log: DeadLetterLog, wanted: dict[UUID, Letter], tally: Tally
) -> AsyncIterator[list[Replay]]:
    """Read the letters in the order of their partitions, which keeps the order of each key."""
    portion: list[Replay] = []
    total = 0
    async for record in log.at([letter.address for letter in wanted.values()]):
        letter = read_letter(record)
        if letter.id not in wanted:
            continue
        replay_id = new_id()
        message = replay_message(record, replay_id)
        size = size_of(message.key, message.value, message.headers)
        if reason := _why_left(record, size):
            tally.left[wanted.pop(letter.id)] = reason
            continue
        if portion and (len(portion) == LETTERS_AT_ONCE or total + size > BYTES_AT_ONCE):
            yield portion
            portion, total = [], 0
        portion.append(Replay(replay_id, letter.id, letter.address, message))
        total += size
    if portion:
        yield portion


def _why_left(record: Record, size: int) -> Left | None:
    """Return why a letter cannot be replayed, None if it can."""
    if any(name == LEFT_OUT for name, _ in record.headers):
        return Left.NOT_WHOLE
    return Left.TOO_LARGE if is_too_large(size) else None
