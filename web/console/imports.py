"""Imports of rosters as pages show them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from rules.errors import StudentNotFoundError
from rules.imports.files import CellError
from rules.imports.plans import (
    ImportRecord,
    ImportState,
    Notice,
    NoticeCode,
    PlannedRow,
    RowEntity,
    RowKind,
    Summary,
)
from rules.text import joined
from store.protocols.imports import RowQuery, StoredRow
from web.console.import_words import COLUMNS, KINDS, Words, words_of
from web.console.languages import Speech
from web.console.notices import N_
from web.services import WebServices

#: So many students without a name in their row are looked for at once: each takes a connection.
_AT_ONCE: Final = 2

STATES: Final[Mapping[ImportState, str]] = {
    ImportState.PLANNED: N_("waits to be applied"),
    ImportState.APPLYING: N_("is being applied"),
    ImportState.APPLIED: N_("applied"),
    ImportState.FAILED: N_("not applied"),
    ImportState.EXPIRED: N_("expired"),
}
MEMBERS: Final[Mapping[str, str]] = {
    "first_name": N_("First name"),
    "last_name": N_("Last name"),
    "full_name": N_("Full legal name"),
    "email": N_("Email"),
    "external_id": N_("External id"),
    "name": N_("Name"),
    "course_code": N_("Course"),
}
NOTICES: Final[Mapping[NoticeCode, str]] = {
    NoticeCode.NEAR_DUPLICATE: N_("Another student is much like this one."),
    NoticeCode.KEPT_BY_HAND: N_("Somebody changed it since the last import; that stays."),
    NoticeCode.SAID_TOO: N_("Somebody changed it, and the file says the same."),
    NoticeCode.NAME_SPLIT: N_(
        "The file has the full name only: where the first name ends is a guess."
    ),
    NoticeCode.MATCHED_BY_EMAIL: N_("Known by the email."),
    NoticeCode.MATCHED_BY_NAME: N_("Known by the name."),
    NoticeCode.NOT_TAKEN: N_("This stays as it is."),
}
_SAY_IT_ALL: Final = frozenset(
    {NoticeCode.NAME_SPLIT, NoticeCode.MATCHED_BY_EMAIL, NoticeCode.MATCHED_BY_NAME}
)
#: What rows can be filtered by; "look" are those with something that is worth a look.
LOOK: Final = "look"
FILTERS: Final[Mapping[str, str]] = {
    "": N_("All"),
    RowKind.ERROR: N_("Errors"),
    LOOK: N_("Worth a look"),
    RowKind.CREATED: N_("New"),
    RowKind.UPDATED: N_("Changed"),
    RowKind.JOINED: N_("Join"),
    RowKind.LEFT: N_("Leave"),
    RowKind.DELETED: N_("Deleted"),
    RowKind.UNCHANGED: N_("Unchanged"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """What becomes of a member; "" is nothing."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ShownFault:
    """What is wrong with a cell, and what stands there."""

    column: str
    kind: str
    words: Words


@dataclass(frozen=True, slots=True)
class ShownNotice:
    """What is worth a look about a row; `words` say more than `text`, if they do."""

    text: str
    words: Words | None
    student_id: UUID | None
    other_line: int | None


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of a plan. `name` is "" where nobody knows one; `class_name` where none is known."""

    line: int | None
    file: str
    kind: RowKind
    is_class: bool
    class_id: UUID | None
    class_name: str
    student_id: UUID | None
    name: str
    changes: tuple[Changed, ...]
    faults: tuple[ShownFault, ...]
    notices: tuple[ShownNotice, ...]
    left_out: bool


@dataclass(frozen=True, slots=True)
class ShownRows:
    """A page of rows; `next` is the number behind which the next one begins, if one does."""

    rows: tuple[ShownRow, ...]
    next: int | None


class Rows:
    """Reads the rows of an import, with the names of whom and what they are about."""

    def __init__(
        self,
        services: WebServices,
        record: ImportRecord,
        class_names: Mapping[UUID, str],
        speech: Speech,
    ) -> None:
        self._services = services
        self._record = record
        self._speech = speech
        self.class_names = dict(class_names)

    async def learn_new_classes(self) -> None:
        """Learn the names of classes that the import makes, if it does."""
        if self._record.summary.classes_created:
            query = RowQuery(MOST_CLASSES, RowKind.CREATED, entity=RowEntity.CLASS)
            for stored in await self._stored(query):
                row = stored.row
                if row.class_id is not None:
                    self.class_names.setdefault(row.class_id, _text(row.after, "name"))

    async def read(self, query: RowQuery) -> ShownRows:
        """Return a page of rows."""
        found = await self._services.imports.import_rows(
            self._record.owner_id, self._record.id, query
        )
        names = await self._names(stored.row for stored in found.rows)
        rows = tuple(self._shown(stored, names) for stored in found.rows)
        return ShownRows(rows, found.rows[-1].number if found.more else None)

    async def _stored(self, query: RowQuery) -> tuple[StoredRow, ...]:
        owner_id, import_id = self._record.owner_id, self._record.id
        return (await self._services.imports.import_rows(owner_id, import_id, query)).rows

    async def _names(self, rows: Iterable[PlannedRow]) -> dict[UUID, str]:
        """Return the names of students whose rows don't have them: who joins, leaves, stays."""
        wanted = list({row.student_id for row in rows if row.student_id and not name_of(row)})
        names: dict[UUID, str] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            names |= zip(some, await asyncio.gather(*map(self._name, some)), strict=True)
        return names

    async def _name(self, student_id: UUID) -> str:
        try:
            record = await self._services.classes.get_student(self._record.owner_id, student_id)
        except StudentNotFoundError:
            return ""
        return joined(record.name.first_name, record.name.last_name)

    def _shown(self, stored: StoredRow, names: Mapping[UUID, str]) -> ShownRow:
        row = stored.row
        known = names.get(row.student_id, "") if row.student_id else ""
        return ShownRow(
            row.line,
            row.file,
            row.kind,
            row.entity is RowEntity.CLASS,
            row.class_id,
            self.class_names.get(row.class_id, "") if row.class_id else "",
            row.student_id,
            name_of(row) or known,
            changes_of(row),
            tuple(map(self._fault, row.errors)),
            tuple(map(self._notice, row.notices)),
            stored.left_out,
        )

    def _fault(self, error: CellError) -> ShownFault:
        kind = KINDS.get(error.value_kind)
        shown = self._speech.text(kind) if kind else error.value_kind
        column = COLUMNS.get(error.column)
        named = self._speech.text(column) if column else error.column
        return ShownFault(named, shown, words_of(self._speech, error.detail))

    def _notice(self, notice: Notice) -> ShownNotice:
        words = None if notice.code in _SAY_IT_ALL else words_of(self._speech, notice.detail)
        return ShownNotice(NOTICES[notice.code], words, notice.student_id, notice.other_line)


#: A file rarely names more classes than these; the others' rows say nothing of their name.
MOST_CLASSES: Final = 500


def name_of(row: PlannedRow) -> str:
    """Return the name that a row has of whom it is about, else ""."""
    for values in (row.after, row.before):
        if row.entity is RowEntity.CLASS:
            name = _text(values, "name")
        else:
            name = joined(_text(values, "first_name"), _text(values, "last_name"))
        if name and (row.kind is not RowKind.UPDATED or _is_whole(row, values)):
            return name
    return ""


def _is_whole(row: PlannedRow, values: Mapping[str, Any] | None) -> bool:
    """Whether an update has both parts of a name: it has what changes alone."""
    return row.entity is RowEntity.CLASS or {"first_name", "last_name"} <= (values or {}).keys()


def changes_of(row: PlannedRow) -> tuple[Changed, ...]:
    """Return what becomes of each member that changes; whom a row makes is named beside it."""
    before, after = row.before or {}, row.after or {}
    if row.kind is RowKind.CREATED:
        return changed({}, {name: after.get(name) for name in _BESIDE_NAMES})
    return changed(before, after) if row.kind is RowKind.UPDATED else ()


_BESIDE_NAMES: Final = ("email", "external_id", "course_code")


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Changed, ...]:
    """Return what becomes of each member that changes."""
    names = [name for name in MEMBERS if before.get(name) != after.get(name)]
    if {"first_name", "last_name"} & set(names) and "full_name" in names:
        names.remove("full_name")  # it follows the others
    return tuple(Changed(MEMBERS[name], _text(before, name), _text(after, name)) for name in names)


def _text(values: Mapping[str, Any] | None, name: str) -> str:
    value = (values or {}).get(name)
    return "" if value is None else str(value)


def count_of(summary: Summary, name: str) -> int | None:
    """Return how many rows a filter shows, None where nobody has counted."""
    if name in {"", LOOK}:
        return None
    return int(getattr(summary, "errors" if name == RowKind.ERROR else name))
