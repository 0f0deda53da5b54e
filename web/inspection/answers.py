"""A worker's answers about its part of the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tables.entries import Holding, Reconciliation, TableEntry, WorkerTable
from web.parameters import Position


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """An answer, and what the worker that gave it holds."""

    holding: Holding


AnswerT = TypeVar("AnswerT", bound=AnswerPart)


@dataclass(frozen=True, slots=True)
class TablePart(AnswerPart):
    """The size and state of a worker's part."""

    table: WorkerTable


@dataclass(frozen=True, slots=True)
class PagePart(AnswerPart):
    """A worker's entries by ascending (`confirm_by`, `batch_id`); `more` if others follow."""

    entries: Sequence[TableEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class EntryPart(AnswerPart):
    """A worker's entry of a batch, None if it has none."""

    entry: TableEntry | None


@dataclass(frozen=True, slots=True)
class DriftPart(AnswerPart):
    """A worker's running or last comparison, None if it has made none."""

    last: Reconciliation | None


def position(entry: TableEntry) -> Position:
    """Return an entry's position in the order of a page."""
    return entry.confirm_by, entry.batch_id
