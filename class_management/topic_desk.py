"""Reads topics for the operators' pages: one reading at a time, each within a time.

It is the process that answers requests which reads, so what is fetched at once is small.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from agents.dead_letters import actions
from agents.dead_letters.log import DeadLetterLog
from agents.dead_letters.pages import Backwards, Wanted
from agents.dead_letters.status import statuses
from agents.kafka.batch_events import read_events, search_for
from agents.kafka.config import KafkaConfig
from agents.kafka.topic_log import Reader, TopicLogError, opened
from rules.dead_letters.filters import Filter, in_order
from rules.dead_letters.letters import Address, Letter, read_letter
from rules.dead_letters.pages import LetterPage, Positions
from rules.dead_letters.replays import LetterDecision
from rules.dead_letters.tally import LetterStatus, Tally, with_states
from rules.errors import StoreUnavailableError, reason
from rules.models import Record
from rules.story import Events, Story
from store.protocols.dead_letters import DeadLetterProtocol
from telemetry.logs import get_logger
from web.console.desk import Done, TopicsAwayError, TopicsBusyError

#: How long another reading is waited for.
TURN_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
#: How long letters and events are looked for; the page says what is left out.
LOOK_SECONDS: Final = 10.0
DECIDE_SECONDS: Final = 40.0
#: Of each partition; Kafka sends one message whole if it is larger, and up to 50 MiB in an answer.
FETCH_BYTES: Final = 256 * 1024

KeptT = TypeVar("KeptT")

_log: Final = get_logger(__name__)


class TopicDesk:
    """Takes turns in reading."""

    def __init__(self, kafka: KafkaConfig) -> None:
        self.kafka: Final = kafka
        self.reader: Final = Reader(
            "class-management-console",
            CONNECT_SECONDS,
            lambda _server: asyncio.timeout(CONNECT_SECONDS),
            lambda what: _log.warning("left out on a page", what=what),
            FETCH_BYTES,
        )
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn. Raises TopicsBusyError."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise TopicsBusyError("another page has topics read") from None
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def letters(self) -> AsyncIterator[DeadLetterLog]:
        """Read dead letters. Raises TopicsAwayError."""
        try:
            async with self.turn(), opened(self.kafka, self.reader) as log:
                yield DeadLetterLog(log)
        except TopicLogError as error:
            raise TopicsAwayError(str(error)) from error


class Letters:
    """Implements LetterDesk."""

    def __init__(self, desk: TopicDesk, decisions: DeadLetterProtocol) -> None:
        self._desk = desk
        self._decisions = decisions

    async def page(
        self, wanted: Filter, most: int, *, everything: bool, before: Positions | None
    ) -> LetterPage:
        """Return letters, the newest first."""
        async with self._desk.letters() as log:
            looking = Backwards(log, self._states, Wanted(wanted, everything, most))
            return await looking.page(before, LOOK_SECONDS)

    async def statuses(self, addresses: Sequence[Address]) -> list[LetterStatus]:
        """Return the letters at these addresses, the newest last."""
        letters = in_order(await self._at(addresses, read_letter))
        return list(await self._states(letters, {}))

    async def show(self, address: Address) -> tuple[LetterStatus, Record] | None:
        """Return a letter with its record."""
        found = await self._at([address], lambda record: record)
        if not found:
            return None
        [record] = found
        [status] = await self._states([read_letter(record)], {})
        return status, record

    async def decide(
        self, addresses: Sequence[Address], decision: LetterDecision, *, again: bool
    ) -> Done:
        """Replay or drop letters; what was done also after an error."""
        done = Done(Tally())
        try:
            async with asyncio.timeout(DECIDE_SECONDS), self._desk.letters() as log:
                letters = in_order([read_letter(record) async for record in log.at(addresses)])
                there = {letter.address for letter in letters}
                done.missing.extend(one for one in addresses if one not in there)
                if decision is LetterDecision.REPLAYED:
                    await actions.replay(log, self._decisions, letters, done.tally, again=again)
                else:
                    await actions.drop(self._decisions, letters, done.tally, again=again)
        except TopicsBusyError:
            raise
        except (TopicsAwayError, StoreUnavailableError) as error:
            done.trouble = reason(error)
        except TimeoutError:
            done.trouble = f"it took longer than {DECIDE_SECONDS:g} s"
        return done

    async def _at(
        self, addresses: Sequence[Address], keep: Callable[[Record], KeptT]
    ) -> list[KeptT]:
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._desk.letters() as log:
                return [keep(record) async for record in log.at(addresses)]
        except TimeoutError as error:
            raise TopicsAwayError(f"it took longer than {LOOK_SECONDS:g} s") from error

    async def _states(
        self, letters: Sequence[Letter], failures: Mapping[UUID, Address]
    ) -> Sequence[LetterStatus]:
        try:
            return await statuses(letters, self._decisions, failures)
        except StoreUnavailableError:
            return with_states(letters, None, failures)


class TopicEvents:
    """Implements BatchEvents; `retry` is how long messages wait for a batch."""

    def __init__(self, desk: TopicDesk, retry: timedelta) -> None:
        self._desk = desk
        self._retry = retry

    async def of_story(self, story: Story) -> Events:
        """Return the events of a batch, and what is missing of them."""
        search = search_for(story, self._retry, datetime.now(UTC))
        async with self._desk.turn():
            return await read_events(self._desk.kafka, self._desk.reader, search, LOOK_SECONDS)
