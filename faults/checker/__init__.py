"""The checker: compares requests and answers with the state at the end. No I/O."""

from collections.abc import Iterator

from faults.checker import (
    answers,
    batches,
    changes,
    commands,
    corrections,
    dead_letters,
    decisions,
    essays,
    flood,
    inbox,
    keys,
    leftovers,
    messages,
    notifications,
    outcomes,
    probes,
    roster,
    undecodable,
)
from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.history import History
from faults.world import World

__all__ = ["Finding", "Kind", "check"]

CHECKS = (
    leftovers.check,
    messages.check,
    answers.check,
    keys.check,
    roster.check,
    commands.check,
    outcomes.check,
    dead_letters.check,
    batches.check,
    essays.check,
    decisions.check,
    corrections.check,
    notifications.check,
    inbox.check,
    flood.check,
    probes.check,
    undecodable.check,
    changes.check,
)


def check(history: History, world: World) -> list[Finding]:
    """Return every broken promise."""
    index = Index(history, world)
    return list(_findings(index))


def _findings(index: Index) -> Iterator[Finding]:
    for one in CHECKS:
        yield from one(index)
