"""Whom the lines of a file are about, as far as the file itself says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from rules.emails import key_of
from rules.imports.files import CellError, FileRow, NamedBy, Wish
from rules.imports.plans import Notice, NoticeCode, StudentState
from rules.imports.values import full_name
from rules.models import PersonName


@dataclass(slots=True, eq=False)
class Line:
    """A line of the file while it is planned; `class_id` may be of a class that is to be made.

    `order` is its place among the lines. One with `errors` has no effect, nor one that `is_void`:
    the file deletes its class.
    """

    row: FileRow
    order: int
    class_id: UUID | None = None
    errors: list[CellError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    subject: "Subject | None" = None
    is_void: bool = False

    @property
    def place(self) -> str:
        """Where it stands, for a person."""
        where = f" of {self.row.file}" if self.row.file else ""
        return f"line {self.row.line}{where}"

    @property
    def keeps(self) -> bool:
        """Whether it wants its person to be in the class."""
        return self.row.wish is Wish.KEEP

    def refuse(self, column: str, value_kind: str, detail: str) -> None:
        """Add an error."""
        self.errors.append(CellError(column, value_kind, detail))


@dataclass(slots=True, eq=False)
class Subject:
    """A person of the file, with all that its lines say of it. `student` is who it is, if known.

    `matched` is how it was found if not by its id.
    """

    external_id: str | None = None
    name: PersonName | None = None
    email: str | None = None
    named_by: NamedBy = NamedBy.PARTS
    lines: list[Line] = field(default_factory=list)
    student: StudentState | None = None
    matched: NoticeCode | None = None

    @property
    def key(self) -> str | None:
        """What its address is compared by."""
        return key_of(self.email) if self.email else None

    @property
    def is_deleted(self) -> bool:
        """Whether a line wants it to be in no class any more, whatever others say."""
        return any(line.row.wish is Wish.DELETE for line in self.lines)

    @property
    def stays(self) -> bool:
        """Whether it is wanted in a class."""
        return any(line.keeps for line in self.lines) and not self.is_deleted

    @property
    def first(self) -> Line:
        """The first line that is about it."""
        return self.lines[0]

    def refuse(self, column: str, value_kind: str, detail: str, notices: Iterable[Notice]) -> None:
        """Add an error to each line."""
        for line in self.lines:
            line.refuse(column, value_kind, detail)
            line.notices.extend(notices)

    def take(self, line: Line) -> None:
        """Take a line, if it does not contradict those before it; else it has an error."""
        if error := self.contradiction(line):
            line.errors.append(error)
            return
        person = line.row.person
        self.external_id = self.external_id or person.external_id
        self.email = self.email or person.email
        if person.name and (self.name is None or _RANK[person.named_by] > _RANK[self.named_by]):
            self.name, self.named_by = person.name, person.named_by
        self.lines.append(line)
        line.subject = self

    def contradiction(self, line: Line) -> CellError | None:
        """Return what a line says otherwise than those before it."""
        person = line.row.person
        if not self.lines:
            return None
        where = self.first.place.capitalize()
        if person.external_id and self.external_id not in (None, person.external_id):
            return CellError("external_id", "text", f"{where} has another id of the same student.")
        if person.email and self.key not in (None, key_of(person.email)):
            return CellError(
                "email", "address", f"{where} has another address of the same student."
            )
        if person.name and not self._is_called(person.name, person.named_by):
            return CellError("name", "text", f"{where} has another name of the same student.")
        return None

    def _is_called(self, name: PersonName, named_by: NamedBy) -> bool:
        """Whether another line's name is the same, as far as both say it."""
        if self.name is None or self.name == name:
            return True
        if NamedBy.FULL in (self.named_by, named_by):
            ours = {full_name(self.name), self.name.legal_full_name}
            return not ours.isdisjoint({full_name(name), name.legal_full_name})
        return NamedBy.PARTS in (self.named_by, named_by) and _parts(self.name) == _parts(name)


#: What says more of a name.
_RANK: Final = {NamedBy.FULL: 0, NamedBy.PARTS: 1, NamedBy.BOTH: 2}


def _parts(name: PersonName) -> tuple[str, str]:
    return name.first_name, name.last_name


def subjects_of(lines: Sequence[Line]) -> list[Subject]:
    """Put together the lines of each person: those with one id, or one address."""
    grouping = _Grouping()
    for line in lines:
        if not line.errors:
            grouping.take(line)
    return grouping.subjects


@dataclass(slots=True)
class _Grouping:
    subjects: list[Subject] = field(default_factory=list)
    by_id: dict[str, Subject] = field(default_factory=dict)
    by_key: dict[str, Subject] = field(default_factory=dict)
    by_name: dict[tuple[UUID | None, str], Line] = field(default_factory=dict)

    def take(self, line: Line) -> None:
        person = line.row.person
        key = key_of(person.email) if person.email else None
        if person.external_id is None and key is None:
            self._take_name(line)
            return
        subject = self.by_id.get(person.external_id) if person.external_id else None
        holder = self.by_key.get(key) if key else None
        if holder is not None and holder is not subject:
            if subject is not None or holder.contradiction(line):
                where = holder.first.place.capitalize()
                line.refuse("email", "address", f"{where} has this address, of another student.")
                return
            subject = holder
        self._add(subject or Subject(), line)

    def _take_name(self, line: Line) -> None:
        """Take a line with nothing but a name, which nobody else of its class may have."""
        name = line.row.person.name
        if name is None:
            line.refuse("name", "empty", "The line does not say who it is about.")
            return
        first = self.by_name.setdefault((line.class_id, full_name(name)), line)
        if first is not line:
            where = first.place.capitalize()
            line.refuse("name", "text", f"{where} has the same name: nothing tells them apart.")
            return
        self._add(Subject(), line)

    def _add(self, subject: Subject, line: Line) -> None:
        if not subject.lines:
            self.subjects.append(subject)
        subject.take(line)
        if not line.errors:
            self._know(subject)

    def _know(self, subject: Subject) -> None:
        if subject.external_id:
            self.by_id.setdefault(subject.external_id, subject)
        if subject.key:
            self.by_key.setdefault(subject.key, subject)
