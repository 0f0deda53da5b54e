"""Imports: the state that plans are made of, the plans, and applying them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from rules.conditions import Condition
from rules.imports.applying import LeftOut
from rules.imports.plans import (
    ImportRecord,
    Mode,
    Plan,
    PlannedRow,
    RosterState,
    RowEntity,
    RowKind,
)
from rules.models import Caller, Trace


@dataclass(frozen=True, slots=True)
class NewImport:
    """A plan to store."""

    id: UUID
    mode: Mode
    plan: Plan
    class_id: UUID | None = None
    undoes: UUID | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class ImportQuery:
    """Which imports: the newest first, behind a place."""

    limit: int
    after: tuple[datetime, UUID] | None = None


@dataclass(frozen=True, slots=True)
class ImportPage:
    """A page of imports; `more`: others follow."""

    imports: tuple[ImportRecord, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Which rows of a plan, in its order, behind a row's number; None is all.

    `noticed`: only those with a notice.
    """

    limit: int
    kind: RowKind | None = None
    after: int = 0
    entity: RowEntity | None = None
    noticed: bool = False

    def wants(self, row: PlannedRow) -> bool:
        """Whether a row is one of those."""
        is_kind = self.kind in (None, row.kind) and self.entity in (None, row.entity)
        return is_kind and (bool(row.notices) or not self.noticed)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row with its number; `left_out`: its class was not applied."""

    number: int
    row: PlannedRow
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page of rows; `more`: others follow."""

    rows: tuple[StoredRow, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """What the caller says when applying: changes that are large, errors that leave classes out."""

    force: bool = False
    skip_errors: bool = False


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step of applying has done: the import as it is now, and the trace of its applying.

    `applied`: a class was applied; `left_out`: it was not, and why. `error`: it failed, and is
    tried again unless it is left out.
    """

    record: ImportRecord
    trace: Trace
    left_out: LeftOut | None = None
    error: Exception | None = None
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many imports are being applied, and how many seconds the longest waits for its turn."""

    imports: int
    age_seconds: float


class ImportsProtocol(Protocol):
    """Imports. Those of other users are treated as if they did not exist."""

    async def roster_state(self, owner_id: str, class_id: UUID | None) -> RosterState:
        """Return what a plan may look at: of the owner, all its classes and students.

        Raises ClassNotFoundError unless the class, if one is given, is the owner's.
        """

    async def add_import(self, caller: Caller, new: NewImport) -> ImportRecord:
        """Store a plan for 24 hours."""

    async def get_import(self, owner_id: str, import_id: UUID) -> ImportRecord:
        """Return an import. Raises ImportNotFoundError."""

    async def list_imports(self, owner_id: str, query: ImportQuery) -> ImportPage:
        """Return a page of the owner's imports, newest first."""

    async def import_rows(self, owner_id: str, import_id: UUID, query: RowQuery) -> RowPage:
        """Return a page of a plan's rows. Raises ImportNotFoundError."""

    async def applied_rows(self, owner_id: str, import_id: UUID) -> list[PlannedRow]:
        """Return the rows that were applied, to be undone.

        Raises ImportNotFoundError, ImportConflictError unless it is applied.
        """

    async def apply_import(
        self,
        caller: Caller,
        import_id: UUID,
        options: ApplyOptions,
        condition: Condition,
    ) -> ImportRecord:
        """Have a plan applied by the workers; each class in a transaction of its own.

        Raises ImportNotFoundError, PreconditionFailedError (not the tag, or what the plan rests on
        has moved), ImportConflictError (not planned), TooLargeChangeError, ValidationFailedError
        (it has errors).
        """

    async def apply_next(self) -> bool:
        """Apply one class of one import that is being applied, in one transaction.

        False: there was none. Workers share the imports: one that another holds is skipped. A
        class that has moved since the 202 is left out. After the last class the import is applied.
        """

    async def step(self) -> Stepped | None:
        """Do what `apply_next` does, and say what; None: there was nothing to do."""

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until a caller of this process has an import applied, or for that long."""

    async def waiting(self) -> Waiting:
        """Return how much is to be applied."""

    async def expire_imports(self) -> int:
        """Let plans that nobody applied in 24 hours expire, with their rows; return how many.

        What has ended 30 days ago is forgotten, too.
        """
