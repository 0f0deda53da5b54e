"""The checker: what was asked and answered, held against what there is. No I/O."""

from collections.abc import Iterator

from faults.checker import (
    answers,
    batches,
    commands,
    decisions,
    essays,
    expected,
    flood,
    inbox,
    letters,
    messages,
    notices,
    roster,
    settled,
)
from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.history import History
from faults.world import World

__all__ = ["Finding", "Kind", "check"]

CHECKS = (
    settled.check,
    messages.check,
    answers.check,
    roster.check,
    commands.check,
    expected.check,
    letters.check,
    batches.check,
    essays.check,
    decisions.check,
    notices.check,
    inbox.check,
    flood.check,
)


def check(history: History, world: World) -> list[Finding]:
    """Return everything that is not as it was promised."""
    index = Index(history, world)
    return list(_findings(index))


def _findings(index: Index) -> Iterator[Finding]:
    for one in CHECKS:
        yield from one(index)
