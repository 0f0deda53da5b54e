"""What becomes of a list of pupils in a class: the same work is tried first, and then done."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

from rules.changes import Created, NewStudentRequest
from rules.emails import key_of
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ServiceError,
    ValidationFailedError,
)
from rules.events.envelopes import to_json
from rules.inputs import NewStudentInput, read_json
from rules.joining import Outcome
from rules.models import Caller, StudentChange
from store.pace import Pace
from web.console.faults import plain
from web.console.notices import N_
from web.console.pasted import Pasted
from web.console.people import Person, person_of, read_class
from web.services import WebServices


class Kind(StrEnum):
    """What becomes of a line."""

    NEW = "new"
    JOINS = "joins"
    THERE = "there"
    """Is in the class already, or on an earlier line."""
    TWIN = "twin"
    """Has the name of somebody in the class or on an earlier line: made only if that is meant."""
    TAKEN = "taken"
    """Another student has the address: joins instead only if that is meant."""
    FAULTY = "faulty"


#: What needs nobody's attention any more once it is done.
SETTLED: Final = frozenset({Kind.NEW, Kind.JOINS, Kind.THERE})

_TAKEN: Final = N_("Another of your students already has this email.")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and the pupil that it gives; `fault` says why it gives none."""

    pasted: Pasted
    given: NewStudentInput | None = None
    fault: str | None = None


async def checked(pupils: Iterable[Pasted]) -> list[Line]:
    """Return lines as they are to be registered; there may be thousands."""
    pace, lines = Pace(), list[Line]()
    for pasted in pupils:
        lines.append(_checked(pasted))
        await pace.keep()
    return lines


def _checked(pasted: Pasted) -> Line:
    if pasted.fault:
        return Line(pasted, fault=pasted.fault)
    try:
        return Line(pasted, student_input(pasted.first, pasted.last, pasted.email))
    except ValidationFailedError as error:
        return Line(pasted, fault=plain(error.errors[0].detail))


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, and what becomes of it.

    `other` is who is in the way; `choice` is what the form says if the line is meant all the same.
    """

    pasted: Pasted
    kind: Kind
    fault: str | None = None
    other: Person | None = None
    choice: str | None = None
    is_chosen: bool = False


#: A name or an address, so that two lines can be seen to mean one pupil.
_Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class _Known:
    """Who is in the class, and on the lines before."""

    names: dict[_Key, Person | None] = field(default_factory=dict)
    addresses: set[str] = field(default_factory=set)

    def take(self, name: _Key, email: str | None, person: Person | None = None) -> None:
        self.names.setdefault(name, person)
        if email:
            self.addresses.add(key_of(email))


@dataclass(frozen=True, slots=True)
class Registering:
    """Registers a list in a class; `chosen` are the choices that were ticked."""

    services: WebServices
    caller: Caller
    class_id: UUID
    chosen: AbstractSet[str]

    async def run(self, lines: Sequence[Line]) -> list[Entry]:
        """Make and enrol who can be; return what became of each line.

        Raises ClassNotFoundError.
        """
        cls = await read_class(self.services, self.caller.user_id, self.class_id)
        known, entries = _Known(), dict[int, Entry]()
        for student in cls.students:
            known.take(_name_key(student.first, student.last), student.email, student)
        wanted: dict[int, NewStudentRequest] = {}
        for place, line in enumerate(lines):
            read = self._read(place, line, known)
            if isinstance(read, Entry):
                entries[place] = read
            else:
                wanted[place] = read
        members = {student.id for student in cls.students}
        made = await self.services.classes.register_students([*wanted.values()])
        for place, outcome in zip(wanted, made, strict=True):
            entries[place] = await self._entry(place, lines[place].pasted, outcome, members)
        return [entries[place] for place in range(len(lines))]

    def _read(self, place: int, line: Line, known: _Known) -> Entry | NewStudentRequest:
        """Return what is to be made of a line, or why that is not tried."""
        if line.given is None:
            return Entry(line.pasted, Kind.FAULTY, line.fault)
        new, choice = line.given.resolve(None, self.class_id), str(place)
        name = _name_key(new.name.first_name, new.name.last_name)
        is_known = new.email is not None and key_of(new.email) in known.addresses
        if name in known.names and not is_known and choice not in self.chosen:
            return Entry(line.pasted, Kind.TWIN, other=known.names[name], choice=choice)
        known.take(name, new.email)
        return NewStudentRequest(self.caller, new)

    async def _entry(
        self, place: int, pasted: Pasted, outcome: Outcome, members: set[UUID]
    ) -> Entry:
        if isinstance(outcome, ClassNotFoundError):
            raise outcome
        if isinstance(outcome, EmailConflictError):
            return await self._conflict(place, pasted, outcome, members)
        if isinstance(outcome, ServiceError):
            return Entry(pasted, Kind.FAULTY, plain(outcome.detail))
        person = person_of(outcome.record)
        is_there = person.id in members
        members.add(person.id)
        if isinstance(outcome, Created):
            ticked = str(place) in self.chosen
            return Entry(pasted, Kind.NEW, choice=str(place) if ticked else None, is_chosen=ticked)
        return Entry(pasted, Kind.THERE if is_there else Kind.JOINS, other=person)

    async def _conflict(
        self, place: int, pasted: Pasted, refusal: EmailConflictError, members: set[UUID]
    ) -> Entry:
        if refusal.student_id is None:
            return Entry(pasted, Kind.FAULTY, _TAKEN)
        owner_id = self.caller.user_id
        record = await self.services.classes.get_student(owner_id, refusal.student_id)
        other, choice = person_of(record), f"{place}:{record.id}"
        if other.id in members:  # also of an earlier line: there is nothing to choose then
            return Entry(pasted, Kind.FAULTY, _TAKEN, other=other)
        if choice not in self.chosen:
            return Entry(pasted, Kind.TAKEN, _TAKEN, other=other, choice=choice)
        try:
            change = StudentChange(add_class_ids=(self.class_id,))
            await self.services.classes.update_student(self.caller, other.id, change)
        except ValidationFailedError as error:
            return Entry(pasted, Kind.FAULTY, plain(error.detail), other=other)
        members.add(other.id)
        return Entry(pasted, Kind.JOINS, other=other, choice=choice, is_chosen=True)


def counts(entries: Iterable[Entry]) -> dict[Kind, int]:
    """Return how many lines there are of each kind."""
    found = dict.fromkeys(Kind, 0)
    for entry in entries:
        found[entry.kind] += 1
    return found


def student_input(first: str, last: str, email: str, legal: str = "") -> NewStudentInput:
    """Read a student as the body of a request is read. Raises ValidationFailedError."""
    name = {"first_name": first, "last_name": last, "legal_full_name": legal or None}
    return read_json(NewStudentInput, to_json({"person_name": name, "email": email}))


def _name_key(first: str, last: str) -> _Key:
    return first.casefold(), last.casefold()
