"""Progress is written with the last piece of a batch, whatever becomes of the pieces."""

from collections.abc import Sequence
from typing import Final, cast

import pytest

from agents.consumers.suggestions import SuggestionsConsumer
from devstack.rig.suggestions import suggest
from rules.dead_letters.messages import DeadLetter
from rules.models import Delivery, Record
from rules.progress import Progress
from rules.suggestions import Handled, Outcome
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics

REACHED: Final = (Progress("group", "topic", 0, 4),)
CLASS_ID: Final = "11111111-1111-4111-8111-000000000001"


def record(offset: int, *, readable: bool = True) -> Record:
    value = suggest(CLASS_ID, []).value if readable else b"no JSON"
    return Record("topic", 0, offset, 0, None, value, ())


class Store:
    """Refuses every list with one of these offsets; notes what it stores, and the progress."""

    def __init__(self, refused: Sequence[int] = ()) -> None:
        self._refused = refused
        self.done: list[int] = []
        self.done_at_progress: list[list[int]] = []

    async def store_suggestions(
        self, deliveries: Sequence[Delivery], reached: Sequence[Progress] = ()
    ) -> Handled:
        offsets = [delivery.record.offset for delivery in deliveries]
        if set(offsets) & set(self._refused):
            raise ValueError
        self._done(offsets, reached)
        return Handled([Outcome.STORED] * len(offsets))

    async def dead_letter(
        self, letters: Sequence[DeadLetter], reached: Sequence[Progress] = ()
    ) -> int:
        self._done([letter.record.offset for letter in letters], reached)
        return len(letters)

    def _done(self, offsets: list[int], reached: Sequence[Progress]) -> None:
        self.done += offsets
        if reached:
            assert reached == REACHED
            self.done_at_progress.append(sorted(self.done))


@pytest.mark.parametrize("refused", [[], [0], [3], [1, 2], [0, 1, 2, 3]])
@pytest.mark.parametrize("unreadable", [[], [0], [3], [0, 1, 2], [0, 1, 2, 3]])
async def test_progress_comes_once_and_last(refused: list[int], unreadable: list[int]) -> None:
    store = Store(refused)
    consumer = SuggestionsConsumer(cast("InboxProtocol", store), Metrics())
    await consumer.handle([record(n, readable=n not in unreadable) for n in range(4)], REACHED)
    assert store.done_at_progress == [[0, 1, 2, 3]]


async def test_all_at_once_where_nothing_is_wrong() -> None:
    store = Store()
    consumer = SuggestionsConsumer(cast("InboxProtocol", store), Metrics())
    await consumer.handle([record(n) for n in range(4)], REACHED)
    assert store.done == [0, 1, 2, 3]
