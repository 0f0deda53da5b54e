"""Dead letters in memory: how they are published, what people decided, how replays ended."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from rules.dead_letters.letters import Address, Stretch
from rules.dead_letters.messages import DeadLetter, dead_letter_message, delivery_id
from rules.dead_letters.replays import (
    Decided,
    Ended,
    LetterDecision,
    Replay,
    advances,
    failed_again,
)
from store.memory.state import MemoryStore


def note(store: MemoryStore, ended: Iterable[Ended]) -> None:
    """Store how replays ended."""
    for end in ended:
        for letter, decided in store.decisions.items():
            if decided.replay_id == end.replay_id and advances(decided.outcome, end.outcome):
                store.decisions[letter] = replace(
                    decided, outcome=end.outcome, reason=end.reason, outcome_at=store.now()
                )


def publish(store: MemoryStore, letters: Iterable[DeadLetter]) -> int:
    """Publish the letters that are new; return how many were."""
    now = store.now()
    fresh = {delivery_id(letter.record): letter for letter in letters}
    fresh = {identity: letter for identity, letter in fresh.items() if identity not in store.inbox}
    store.inbox.update(dict.fromkeys(fresh, now))
    store.publish(dead_letter_message(letter, now) for letter in fresh.values())
    note(store, failed_again(fresh.values()))
    return len(fresh)


class MemoryDeadLetters:
    """Implements DeadLetterProtocol."""

    def __init__(self, store: MemoryStore) -> None:
        self._store: Final = store

    async def decided(self, letters: Sequence[UUID]) -> dict[UUID, Decided]:
        decisions = self._store.decisions
        return {letter: decisions[letter] for letter in letters if letter in decisions}

    async def replay(self, replays: Sequence[Replay], *, again: bool) -> list[UUID]:
        done = []
        for one in replays:
            if self._decide(
                (one.letter, one.address), LetterDecision.REPLAYED, one.id, again=again
            ):
                self._store.publish([one.message])
                done.append(one.letter)
        return done

    async def drop(self, letters: Sequence[tuple[UUID, Address]], *, again: bool) -> list[UUID]:
        return [
            letter[0]
            for letter in letters
            if self._decide(letter, LetterDecision.DROPPED, None, again=again)
        ]

    async def count_decided(self, stretches: Sequence[Stretch]) -> dict[str, int]:
        decided = set(self._store.decided_addresses.values())
        return dict(
            Counter(a.topic for a in decided if any(stretch.has(a) for stretch in stretches))
        )

    async def forget(self, older_than_days: int) -> int:
        limit = self._store.now() - timedelta(days=older_than_days)
        old = [letter for letter, one in self._store.decisions.items() if one.at < limit]
        for letter in old:
            del self._store.decisions[letter]
            del self._store.decided_addresses[letter]
        return len(old)

    def _decide(
        self,
        identity: tuple[UUID, Address],
        decision: LetterDecision,
        replay_id: UUID | None,
        *,
        again: bool,
    ) -> bool:
        letter, address = identity
        if letter in self._store.decisions and not again:
            return False
        self._store.decisions[letter] = Decided(letter, decision, self._store.now(), replay_id)
        self._store.decided_addresses[letter] = address
        return True
