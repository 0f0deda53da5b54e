"""Replays and drops dead letters, in portions, and waits for what comes of replays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from agents.kafka.config import MAX_MESSAGE_BYTES
from class_management.cli.dlt.log import DeadLetterLog
from rules.dead_letters.letters import Letter, read_letter, replay_message
from rules.dead_letters.replays import Decided, Replay, State, state_of
from rules.ids import new_id
from rules.models import OutboxMessage
from store.protocols.dead_letters import DeadLetterProtocol

#: What one transaction takes: the relay keeps a shard locked for as long as it publishes.
LETTERS_AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 8 * 1024 * 1024
DROPS_AT_ONCE: Final = 1_000
#: What Kafka adds to a record of its own, and more.
OVERHEAD_BYTES: Final = 1024
POLL_SECONDS: Final = 0.2

TOO_LARGE: Final = "is larger than its topic takes, and would hold up other messages"
DECIDED_MEANWHILE: Final = "was decided about by somebody else meanwhile"
GONE_MEANWHILE: Final = "is gone meanwhile"


@dataclass(slots=True)
class Done:
    """What was done: letters, and why others were left as they are."""

    letters: list[Letter] = field(default_factory=list)
    left: dict[Letter, str] = field(default_factory=dict)


async def replay(
    log: DeadLetterLog,
    store: DeadLetterProtocol,
    letters: Sequence[Letter],
    done: Done,
    *,
    again: bool,
) -> None:
    """Have letters sent to their topics again, and say in `done` how far that has come.

    Raises TroubleError and StoreUnavailableError; the same call then goes on where this one ended.
    """
    wanted = {letter.id: letter for letter in letters}
    async for portion in _portions(log, wanted, done):
        taken = set(await store.replay(portion, again=again))
        for one in portion:
            _tell(done, wanted.pop(one.letter), taken)
    done.left |= dict.fromkeys(wanted.values(), GONE_MEANWHILE)


async def drop(
    store: DeadLetterProtocol, letters: Sequence[Letter], done: Done, *, again: bool
) -> None:
    """Keep that nobody will replay these letters; like `replay`."""
    for begin in range(0, len(letters), DROPS_AT_ONCE):
        portion = letters[begin : begin + DROPS_AT_ONCE]
        asked = [(letter.id, letter.address) for letter in portion]
        taken = set(await store.drop(asked, again=again))
        for letter in portion:
            _tell(done, letter, taken)


async def outcomes(
    store: DeadLetterProtocol,
    letters: Sequence[Letter],
    patience: float,
    tell: Callable[[Letter, Decided], None],
) -> list[Letter]:
    """Tell of each replay what became of it, as it is handled.

    Returns what was not handled once nothing has been for `patience` seconds.
    """
    waiting = {letter.id: letter for letter in letters}
    clock = asyncio.get_running_loop().time
    heard = clock()
    while waiting and clock() - heard <= patience:
        await asyncio.sleep(POLL_SECONDS)
        for decided in _handled(await store.decided(list(waiting))):
            tell(waiting.pop(decided.letter), decided)
            heard = clock()
    return list(waiting.values())


def is_too_large(letter: Letter) -> bool:
    """Tell from its body alone whether the topic would refuse a letter."""
    return letter.size + OVERHEAD_BYTES > MAX_MESSAGE_BYTES


def _too_large(message: OutboxMessage) -> bool:
    """Tell whether the topic would refuse a message. Its sender may have compressed it."""
    return _size(message) + OVERHEAD_BYTES > MAX_MESSAGE_BYTES


def _handled(decisions: Mapping[UUID, Decided]) -> Iterator[Decided]:
    unfinished = {State.OPEN, State.UNDERWAY}
    return (one for one in decisions.values() if state_of(one) not in unfinished)


async def _portions(
    log: DeadLetterLog, wanted: dict[UUID, Letter], done: Done
) -> AsyncIterator[list[Replay]]:
    """Read the letters, as they lie in their partitions: those of a key in their order."""
    portion: list[Replay] = []
    size = 0
    async for record in log.at([letter.address for letter in wanted.values()]):
        letter = read_letter(record)
        if letter.id not in wanted:
            continue
        replay_id = new_id()
        message = replay_message(record, replay_id)
        if _too_large(message):
            done.left[wanted.pop(letter.id)] = TOO_LARGE
            continue
        if portion and (len(portion) == LETTERS_AT_ONCE or size + _size(message) > BYTES_AT_ONCE):
            yield portion
            portion, size = [], 0
        portion.append(Replay(replay_id, letter.id, letter.address, message))
        size += _size(message)
    if portion:
        yield portion


def _size(message: OutboxMessage) -> int:
    headers = sum(len(name.encode()) + len(value) for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


def _tell(done: Done, letter: Letter, taken: set[UUID]) -> None:
    if letter.id in taken:
        done.letters.append(letter)
    else:
        done.left[letter] = DECIDED_MEANWHILE
