"""What one worker answers about its part of the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from tables.entries import Holding, Reconciliation, TableEntry, WorkerTable

Position = tuple[datetime, UUID]


class AnswerPart(Protocol):
    """An answer that says whose it is."""

    @property
    def holding(self) -> Holding:
        """What the worker that answered holds."""


AnswerT = TypeVar("AnswerT", bound=AnswerPart)


@dataclass(frozen=True, slots=True)
class TablePart:
    """How much a worker has."""

    holding: Holding
    table: WorkerTable


@dataclass(frozen=True, slots=True)
class PagePart:
    """A worker's entries by ascending (`confirm_by`, `batch_id`); `more` where they go on."""

    holding: Holding
    entries: Sequence[TableEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class EntryPart:
    """A worker's entry of a batch, None where it has none."""

    holding: Holding
    entry: TableEntry | None


@dataclass(frozen=True, slots=True)
class DriftPart:
    """The comparison that a worker makes now or made last, None where it has made none."""

    holding: Holding
    last: Reconciliation | None


def position(entry: TableEntry) -> Position:
    """Return an entry's place in the order of a page."""
    return entry.confirm_by, entry.batch_id
