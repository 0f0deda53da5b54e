"""All that older versions left is settled, page by page, and nobody's name is told."""

import asyncio
import contextlib
from uuid import UUID

from structlog.testing import capture_logs

from agents.jobs.placeholders import STUDENTS_AT_ONCE, PlaceholderSettling
from rules.ids import new_id
from rules.placeholders import Settled
from telemetry.metrics import Metrics


class FakePlaceholders:
    """Has students to settle, and placeholders that are suggested."""

    def __init__(self, unknown: int, others: int, suggested: int) -> None:
        ids = sorted(new_id() for _ in range(unknown + others))
        self.unknown, self.others = set(ids[:unknown]), set(ids[unknown:])
        self.suggested = [new_id() for _ in range(suggested)]
        self.done = asyncio.Event()

    async def settle(self, after: UUID | None, limit: int) -> Settled:
        left = sorted(i for i in self.unknown | self.others if after is None or i > after)
        page = left[:limit]
        settled = Settled(
            tuple(i for i in page if i in self.unknown),
            tuple(i for i in page if i in self.others),
            page[-1] if page else None,
        )
        self.unknown -= set(page)
        self.others -= set(page)
        return settled

    async def withdraw(self, limit: int) -> list[UUID]:
        page, self.suggested = self.suggested[:limit], self.suggested[limit:]
        if not page:
            self.done.set()
        return page


async def run(placeholders: FakePlaceholders, metrics: Metrics) -> None:
    """Run the loop until it has gone through everything once."""
    running = asyncio.create_task(PlaceholderSettling(placeholders, metrics).run())
    await asyncio.wait_for(placeholders.done.wait(), 30)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def count(metrics: Metrics, became: str) -> float | None:
    return metrics.registry.get_sample_value(
        "class_management_students_settled_total", {"became": became}
    )


async def test_everything_is_settled_and_counted() -> None:
    placeholders = FakePlaceholders(2 * STUDENTS_AT_ONCE + 1, 3, STUDENTS_AT_ONCE + 1)
    metrics = Metrics()
    await run(placeholders, metrics)
    assert not placeholders.unknown | placeholders.others
    assert placeholders.suggested == []
    assert count(metrics, "placeholder") == 2 * STUDENTS_AT_ONCE + 1
    assert count(metrics, "ordinary") == 3


async def test_a_line_tells_of_what_was_settled() -> None:
    placeholders = FakePlaceholders(1, 1, 1)
    [unknown], [other] = placeholders.unknown, placeholders.others
    [suggested] = placeholders.suggested
    with capture_logs() as lines:
        await run(placeholders, Metrics())
    settled, withdrawn = lines
    assert settled["event"] == "UNKNOWN students settled"
    assert (settled["placeholders"], settled["ordinary"]) == ([str(unknown)], [str(other)])
    assert withdrawn["event"] == "suggestions of UNKNOWN withdrawn"
    assert withdrawn["students"] == [str(suggested)]


async def test_nothing_to_settle_says_nothing() -> None:
    with capture_logs() as lines:
        await run(FakePlaceholders(0, 0, 0), Metrics())
    assert lines == []
