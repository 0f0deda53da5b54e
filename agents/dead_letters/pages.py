"""Looks for dead letters from the newest on, a page at a time, within a time.

Each partition is read backwards in stretches, and their letters are merged by time: a page costs
about the same however many letters there are. In a partition the offsets tell what is newer.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from aiokafka import TopicPartition

from agents.kafka.log_reader import Stretches
from rules.dead_letters.filters import Filter
from rules.dead_letters.letters import Address, Letter, read_letter
from rules.dead_letters.pages import LetterPage, Positions
from rules.dead_letters.tally import LetterStatus, failures
from rules.models import Record

#: Offsets of a partition that are read at once; more where nothing is found among them.
STRETCH: Final = 50
LONGEST_STRETCH: Final = 1600
GROWTH: Final = 4

#: Returns letters with their states; the second are the failed replays among all.
AskStates = Callable[[Sequence[Letter], Mapping[UUID, Address]], Awaitable[Sequence[LetterStatus]]]


class Log(Protocol):
    """The part of DeadLetterLog that is needed."""

    async def bounds(
        self, wanted: Sequence[str], since: datetime | None
    ) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return where the partitions begin and end."""

    def read(self, stretches: Stretches) -> AsyncIterator[Record]:
        """Return the records of stretches."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: those that pass, without those that are settled unless `everything`."""

    passing: Filter
    everything: bool
    most: int


@dataclass(slots=True)
class _Place:
    """A partition: read from `position` on; of the letters found, the newest last, some wait."""

    begin: int
    end: int
    position: int | None = None
    stretch: int = STRETCH
    found: list[LetterStatus] = field(default_factory=list)

    @property
    def is_hungry(self) -> bool:
        return not self.found and (self.position is None or self.position > self.begin)

    @property
    def next(self) -> tuple[int, int | None]:
        """The stretch to read next; the first one reaches to the end that a fetch tells."""
        end = self.end if self.position is None else self.position
        return max(self.begin, end - self.stretch), self.position

    def took(self, found: list[LetterStatus]) -> None:
        self.position, _ = self.next
        self.found = found
        if not found:
            self.stretch = min(self.stretch * GROWTH, LONGEST_STRETCH)

    @property
    def after(self) -> int | None:
        """From where on everything was looked through and is on this page, or an earlier one."""
        return self.found[-1].letter.address.offset + 1 if self.found else self.position


class Backwards:
    """Looks for a page of letters."""

    def __init__(self, log: Log, ask: AskStates, wanted: Wanted) -> None:
        self._log = log
        self._ask = ask
        self._wanted = wanted
        self._places: dict[TopicPartition, _Place] = {}
        self._failures: dict[UUID, Address] = {}
        self._page: list[LetterStatus] = []
        self._read = 0

    async def page(self, before: Positions | None, seconds: float) -> LetterPage:
        """Return the page that ends at `before`, or what was found of it in so many seconds.

        Raises TopicLogError and StoreUnavailableError.
        """
        is_cut_off = False
        try:
            async with asyncio.timeout(seconds):
                await self._open(before)
                await self._look()
        except TimeoutError:
            is_cut_off = True
            self._take(self._wanted.most)
        return LetterPage(self._page, self._after(before), is_cut_off, self._read)

    async def _open(self, before: Positions | None) -> None:
        passing = self._wanted.passing
        bounds = await self._log.bounds(passing.searched, passing.since)
        for place, (begin, end) in bounds.items():
            position = (before or {}).get((place.topic, place.partition))
            self._places[place] = _Place(begin, end, position)

    async def _look(self) -> None:
        while len(self._page) < self._wanted.most:
            hungry = {name: place for name, place in self._places.items() if place.is_hungry}
            if hungry:
                await self._fill(hungry)
            elif not self._take(1):
                return

    async def _fill(self, hungry: Mapping[TopicPartition, _Place]) -> None:
        """Read the next stretch of each; what was read only in part is read again next time."""
        letters: list[Letter] = []
        async for record in self._log.read({name: place.next for name, place in hungry.items()}):
            self._read += 1
            letter = read_letter(record)
            self._failures |= failures([letter])
            if self._wanted.passing.passes(letter):
                letters.append(letter)
        found: defaultdict[TopicPartition, list[LetterStatus]] = defaultdict(list)
        for status in await self._ask(letters, self._failures):
            address = status.letter.address
            if self._wanted.everything or not status.is_settled:
                found[TopicPartition(address.topic, address.partition)].append(status)
        for name, place in hungry.items():
            place.took(found[name])

    def _take(self, count: int) -> bool:
        """Put the newest of what was found on the page; return whether there was any."""
        taken = False
        for _ in range(min(count, self._wanted.most - len(self._page))):
            waiting = [place.found for place in self._places.values() if place.found]
            if not waiting:
                break
            newest = max(waiting, key=lambda found: (found[-1].letter.at, found[-1].letter.address))
            self._page.append(newest.pop())
            taken = True
        return taken

    def _after(self, before: Positions | None) -> Positions | None:
        if not self._places:  # the time was up before it was known what there is
            return before
        after = {
            (name.topic, name.partition): place.after
            for name, place in self._places.items()
            if place.after is not None
        }
        left = any(p.found or p.is_hungry for p in self._places.values())
        return after if left else None
