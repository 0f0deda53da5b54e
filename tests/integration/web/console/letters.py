"""What operators' pages need, with topics of dead letters and events that are made up."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from rules import topics
from rules.dead_letters.filters import Filter, in_order
from rules.dead_letters.letters import Address, Letter, read_letter, replay_message
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.dead_letters.pages import LetterPage, Positions
from rules.dead_letters.replays import LetterDecision, Replay
from rules.dead_letters.tally import Left, LetterStatus, Tally, failures, with_states
from rules.errors import StoreUnavailableError, reason
from rules.ids import new_id
from rules.models import Record
from rules.story import Events, Step, Story
from store.protocols.dead_letters import DeadLetterProtocol
from web.console.desk import Done

NOW: Final = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


def buried(
    offset: int,
    value: bytes | None = b"{",
    *,
    why: Reason = Reason.UNREADABLE,
    of: str = topics.MATCHES_SUGGESTED,
    at: datetime = NOW,
    key: bytes | None = b"key",
    headers: Sequence[tuple[str, bytes]] = (),
) -> Record:
    """Return a dead letter as it lies in its topic."""
    taken = Record(of, 3, offset + 40, 0, key, value, tuple(headers))
    message = dead_letter_message(DeadLetter(taken, why, "no JSON"), at)
    return Record(message.topic, 3, offset, offset, key, value, message.headers)


@dataclass
class FakeLetters:
    """Letters that lie in memory; what is decided about them is in a store."""

    decisions: DeadLetterProtocol
    records: list[Record] = field(default_factory=list)
    #: Called before anything is read: raises what Kafka would.
    kafka: Callable[[], None] = lambda: None
    is_cut_off: bool = False
    #: Why letters are left as they are, and what breaks a decision off.
    left: dict[Address, Left] = field(default_factory=dict)
    trouble: str | None = None

    async def page(
        self, wanted: Filter, most: int, *, everything: bool, before: Positions | None
    ) -> LetterPage:
        self.kafka()
        letters = [one for one in map(read_letter, self.records) if wanted.passes(one)]
        found = list(reversed(await self._states(in_order(letters))))
        if not everything:
            found = [status for status in found if not status.is_settled]
        begin = sum((before or {}).values())
        end = begin + most
        after = {(topics.DEAD_LETTER[0], 0): end} if found[end:] or self.is_cut_off else None
        return LetterPage(found[begin:end], after, self.is_cut_off, len(self.records))

    async def statuses(self, addresses: Sequence[Address]) -> list[LetterStatus]:
        self.kafka()
        return await self._states(in_order(map(read_letter, self._at(addresses))))

    async def show(self, address: Address) -> tuple[LetterStatus, Record] | None:
        self.kafka()
        for record in self._at([address]):
            [status] = await self._states([read_letter(record)])
            return status, record
        return None

    async def decide(
        self, addresses: Sequence[Address], decision: LetterDecision, *, again: bool
    ) -> Done:
        self.kafka()
        done = Done(Tally(), [one for one in addresses if not self._at([one])], self.trouble)
        records = [one for one in self._at(addresses) if address_of(one) not in self.left]
        letters = [read_letter(record) for record in records]
        done.tally.left |= {
            read_letter(record): self.left[address_of(record)]
            for record in self._at(addresses)
            if address_of(record) in self.left
        }
        try:
            accepted = await self._accepted(records, letters, decision, again=again)
        except StoreUnavailableError as error:
            done.trouble = reason(error)
            return done
        for letter in letters:
            done.tally.add(letter, set(accepted))
        return done

    async def _accepted(
        self,
        records: Sequence[Record],
        letters: Sequence[Letter],
        decision: LetterDecision,
        *,
        again: bool,
    ) -> Sequence[UUID]:
        if decision is LetterDecision.DROPPED:
            return await self.decisions.drop(
                [(one.id, one.address) for one in letters], again=again
            )
        replays = [
            Replay(new, one.id, one.address, replay_message(record, new))
            for record, one in zip(records, letters, strict=True)
            for new in [new_id()]
        ]
        return await self.decisions.replay(replays, again=again)

    def _at(self, addresses: Sequence[Address]) -> list[Record]:
        return [record for record in self.records if address_of(record) in addresses]

    async def _states(self, letters: Sequence[Letter]) -> list[LetterStatus]:
        failed: Mapping[UUID, Address] = failures(map(read_letter, self.records))
        try:
            decided = await self.decisions.decided([letter.id for letter in letters])
        except StoreUnavailableError:
            return with_states(letters, None, failed)
        return with_states(letters, decided, failed)


def address_of(record: Record) -> Address:
    return Address(record.topic, record.partition, record.offset)


@dataclass
class FakeEvents:
    """What the topics have of every batch."""

    steps: list[Step] = field(default_factory=list)
    trouble: str | None = None
    is_cut_off: bool = False
    busy: Exception | None = None
    asked: list[UUID] = field(default_factory=list)

    async def of_story(self, story: Story) -> Events:
        await asyncio.sleep(0)
        if self.busy:
            raise self.busy
        self.asked.append(story.batch_id)
        return Events(list(self.steps), self.trouble, self.is_cut_off)
