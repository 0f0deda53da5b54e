"""A worker's answers about its part of the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from tables.entries import Holding, Reconciliation, TableEntry, WorkerTable
from telemetry.status import Status

#: `confirm_by` and `batch_id` of an entry.
Position: TypeAlias = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """An answer, and what the worker that gave it holds."""

    holding: Holding


AnswerT = TypeVar("AnswerT", bound=PartAnswer)


@dataclass(frozen=True, slots=True)
class TableAnswer(PartAnswer):
    """The size and state of a worker's part."""

    table: WorkerTable


@dataclass(frozen=True, slots=True)
class PageAnswer(PartAnswer):
    """A worker's entries by ascending (`confirm_by`, `batch_id`); `more` if others follow."""

    entries: Sequence[TableEntry]
    more: bool


@dataclass(frozen=True, slots=True)
class EntryAnswer(PartAnswer):
    """A worker's entry of a batch, None if it has none."""

    entry: TableEntry | None


@dataclass(frozen=True, slots=True)
class DriftAnswer(PartAnswer):
    """A worker's running or last comparison, None if it has made none."""

    last: Reconciliation | None


@dataclass(frozen=True, slots=True)
class StatusAnswer(PartAnswer):
    """What a worker knows of itself."""

    status: Status


def position(entry: TableEntry) -> Position:
    """Return an entry's position in the order of a page."""
    return entry.confirm_by, entry.batch_id
