"""A page of dead letters from the newest on, over partitions of a fake log."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Final
from uuid import UUID

from aiokafka import TopicPartition

from agents.dead_letters.pages import LONGEST_STRETCH, Backwards, Wanted
from agents.kafka.log_reader import Stretches
from rules import topics
from rules.dead_letters.filters import Filter
from rules.dead_letters.letters import Address, Letter
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.dead_letters.pages import LetterPage, Positions
from rules.dead_letters.replays import Decided, LetterDecision
from rules.dead_letters.tally import LetterStatus, with_states
from rules.models import Record

NOW: Final = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
DEAD: Final = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
PATIENCE: Final = 30.0
AT_ONCE: Final = 0.0


def buried(partition: int, offset: int, at: datetime, key: bytes = b"key") -> Record:
    taken = Record(topics.MATCHES_SUGGESTED, partition, offset, 0, key, b"{", ())
    message = dead_letter_message(DeadLetter(taken, Reason.UNREADABLE, "no JSON"), at)
    return Record(DEAD, partition, offset, 0, key, b"{", message.headers)


class Log:
    """Partitions with gaps; the end that it says is too low, as the embedded broker's."""

    def __init__(self, records: Sequence[Record], hangs_after: int | None = None) -> None:
        self.records = records
        self.reads: list[Stretches] = []
        self.hangs_after = hangs_after

    async def bounds(
        self, wanted: Sequence[str], since: datetime | None
    ) -> Mapping[TopicPartition, tuple[int, int]]:
        assert since is None
        lasts: dict[TopicPartition, int] = {}
        for record in self.records:
            if record.topic in wanted:
                lasts[TopicPartition(record.topic, record.partition)] = record.offset
        return {place: (0, last) for place, last in lasts.items()}

    async def read(self, stretches: Stretches) -> AsyncIterator[Record]:
        self.reads.append(stretches)
        if self.hangs_after is not None and len(self.reads) > self.hangs_after:
            await asyncio.Event().wait()
        for record in self.records:
            begin, end = stretches.get(TopicPartition(record.topic, record.partition), (0, 0))
            if begin <= record.offset and (end is None or record.offset < end):
                yield record


def many(seed: int, letters: int) -> list[Record]:
    """Return letters of three partitions, with gaps, in the order of their times."""
    random = Random(seed)  # it only scatters
    offsets = [count(random.randrange(100), random.randrange(1, 4)) for _ in range(3)]
    records = []
    for n in range(letters):
        partition = random.randrange(3)
        key = b"rare" if n % 40 == 3 else b"key"
        records.append(buried(partition, next(offsets[partition]), NOW + timedelta(seconds=n), key))
    return records


async def page(
    log: Log,
    before: Positions | None = None,
    *,
    wanted: Filter | None = None,
    decided: Mapping[UUID, Decided] | None = None,
    everything: bool = False,
    seconds: float = PATIENCE,
) -> LetterPage:
    async def ask(
        letters: Sequence[Letter], failures: Mapping[UUID, Address]
    ) -> Sequence[LetterStatus]:
        return with_states(letters, decided or {}, failures)

    own = Wanted(wanted or Filter(), everything, 20)
    return await Backwards(log, ask, own).page(before, seconds)


async def all_pages(log: Log, **options: object) -> list[LetterPage]:
    pages = [await page(log, **options)]  # type: ignore[arg-type]  # what `page` takes
    while pages[-1].after is not None:
        pages.append(await page(log, pages[-1].after, **options))  # type: ignore[arg-type]
    return pages


def addresses(pages: Sequence[LetterPage]) -> list[Address]:
    return [status.letter.address for one in pages for status in one.statuses]


def newest_first(records: Sequence[Record]) -> list[Address]:
    return [Address(r.topic, r.partition, r.offset) for r in reversed(records)]


async def test_pages_have_every_letter_once_the_newest_first() -> None:
    for seed in range(5):
        records = many(seed, 300)
        pages = await all_pages(Log(records))
        assert addresses(pages) == newest_first(records)
        assert {len(one.statuses) for one in pages[:-1]} == {20}
        assert not any(one.is_cut_off for one in pages)


async def test_a_page_reads_the_ends_alone() -> None:
    records = many(1, 5000)
    found = await page(Log(records))
    assert addresses([found]) == newest_first(records)[:20]
    assert found.read < 300


async def test_what_is_rare_is_found_in_longer_and_longer_stretches() -> None:
    records = many(2, 8000)
    log = Log(records)
    pages = await all_pages(log, wanted=Filter(key="rare"))
    assert addresses(pages) == newest_first([r for r in records if r.key == b"rare"])
    bounded = [end - begin for one in log.reads for begin, end in one.values() if end is not None]
    assert max(bounded) <= LONGEST_STRETCH
    only = await page(Log(records), wanted=Filter(key="nowhere"))
    assert (only.statuses, only.after, only.read) == ([], None, len(records))


async def test_letters_that_come_meanwhile_are_on_no_later_page() -> None:
    records = many(3, 100)
    log = Log(records)
    first = await page(log)
    log.records = [*records, *(buried(n, 5000, NOW + timedelta(days=1)) for n in range(3))]
    second = await page(log, first.after)
    assert addresses([first, second]) == newest_first(records)[:40]


async def test_what_is_settled_is_left_out() -> None:
    records = many(4, 60)
    everything = [s.letter for one in await all_pages(Log(records)) for s in one.statuses]
    dropped = {
        letter.id: Decided(letter.id, LetterDecision.DROPPED, NOW) for letter in everything[:30]
    }
    pages = await all_pages(Log(records), decided=dropped)
    assert addresses(pages) == newest_first(records)[30:]
    pages = await all_pages(Log(records), decided=dropped, everything=True)
    assert addresses(pages) == newest_first(records)


async def test_when_the_time_is_up_there_is_what_was_found_and_where_to_go_on() -> None:
    records = many(5, 2000)
    cut = await page(Log(records, hangs_after=2), wanted=Filter(key="rare"), seconds=0.2)
    assert cut.is_cut_off
    assert cut.after
    rest = [cut]
    while rest[-1].after is not None:
        rest.append(await page(Log(records), rest[-1].after, wanted=Filter(key="rare")))
    wanted = newest_first([r for r in records if r.key == b"rare"])
    assert sorted(addresses(rest)) == sorted(wanted)
    nothing = await page(Log(records, hangs_after=0), cut.after, seconds=AT_ONCE)
    assert (nothing.statuses, nothing.after, nothing.is_cut_off) == ([], cut.after, True)
