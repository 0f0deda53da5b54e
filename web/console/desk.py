"""What the operators' pages need beside what the API's views call."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rules.dead_letters.filters import Filter
from rules.dead_letters.letters import Address
from rules.dead_letters.pages import LetterPage, Positions
from rules.dead_letters.replays import LetterDecision
from rules.dead_letters.tally import LetterStatus, Tally
from rules.models import Record
from rules.story import Events, Story
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from telemetry.status import Status
from web.console.figures import Figures


class TopicsAwayError(Exception):
    """Topics cannot be read right now; the message is one line for an operator, in English."""


class TopicsBusyError(TopicsAwayError):
    """Somebody else has topics read: one at a time, since it is also the process that answers."""


@dataclass(slots=True)
class Done:
    """What came of a decision about letters; `trouble` is why it broke off, if it did.

    Letters of `missing` addresses are not there, or not any more.
    """

    tally: Tally
    missing: list[Address] = field(default_factory=list)
    trouble: str | None = None


class LetterDesk(Protocol):
    """Dead letters, where they lie; states are None while PostgreSQL is away.

    Everything raises TopicsAwayError.
    """

    async def page(
        self, wanted: Filter, most: int, *, everything: bool, before: Positions | None
    ) -> LetterPage:
        """Return letters, the newest first; without `everything` those that are settled not."""

    async def statuses(self, addresses: Sequence[Address]) -> list[LetterStatus]:
        """Return the letters at these addresses that are there, the newest last."""

    async def show(self, address: Address) -> tuple[LetterStatus, Record] | None:
        """Return a letter with its record, None if it is not there."""

    async def decide(
        self, addresses: Sequence[Address], decision: LetterDecision, *, again: bool
    ) -> Done:
        """Replay or drop letters; those decided about before only `again`."""


class BatchEvents(Protocol):
    """What the topics have of batches."""

    async def of_story(self, story: Story) -> Events:
        """Return the events of a batch. Raises TopicsBusyError; else it says what is missing."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What only operators see and do; `status` returns what this process knows of itself."""

    stories: StoryProtocol
    set_aside: SetAsideProtocol
    figures: Figures
    status: Callable[[], Awaitable[Status]]
    letters: LetterDesk
    events: BatchEvents
