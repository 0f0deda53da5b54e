"""Who comes into the classes of a plan and who goes, within the limits of classes and students."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from rules.imports.drafts import Draft, Person
from rules.imports.files import Wish
from rules.imports.oneroster import USERS
from rules.imports.plans import ClassState, Mode
from rules.imports.subjects import Line, Subject
from rules.limits import MAX_CLASSES, MAX_STUDENTS, TOO_MANY_CLASSES

_FULL: Final = f"A class has at most {MAX_STUDENTS:,} students."


@dataclass(frozen=True, slots=True)
class Memberships:
    """The lines whose people join their classes, and of each class who is missing in the file.

    Who is out by hand is missing, too, and who stays by hand.
    """

    joining: AbstractSet[Line]
    missing: Mapping[UUID, AbstractSet[UUID]]


def memberships_of(draft: Draft) -> Memberships:
    """Return who comes and who is missing; lines beyond a limit get an error."""
    joins = _joins(draft)
    _limit_students(draft, joins)
    missing = _missing(draft)
    for class_id, lines in joins.items():
        cls = draft.state.classes.get(class_id)
        size = len(cls.member_ids) if cls else 0
        coming = [line for line in lines if not line.errors]
        leaving = _leaving(draft, cls, missing.get(class_id, frozenset())) if cls else 0
        free = max(size, MAX_STUDENTS) - size + leaving
        for line in coming[free:]:
            _refuse(draft, line, _FULL)
    joining = {line for lines in joins.values() for line in lines if not line.errors}
    return Memberships(joining, _missing(draft))


def _joins(draft: Draft) -> dict[UUID, list[Line]]:
    """Return the lines of each class whose people are to join it."""
    joins: defaultdict[UUID, list[Line]] = defaultdict(list)
    for (subject, class_id), line in draft.keeps.items():
        person = draft.people.get(subject)
        if person is not None and class_id is not None and _is_to_join(draft, person, line):
            joins[class_id].append(line)
    for lines in joins.values():
        lines.sort(key=lambda line: line.order)
    return joins


def _is_to_join(draft: Draft, person: Person, line: Line) -> bool:
    cls = draft.state.classes.get(line.class_id) if line.class_id else None
    if cls is None:
        return True
    return person.id not in cls.member_ids and not draft.is_taken_out(person.id, cls)


def _limit_students(draft: Draft, joins: Mapping[UUID, Iterable[Line]]) -> None:
    """Refuse what would have a student be in too many classes, whichever it leaves."""
    counts: defaultdict[Subject, int] = defaultdict(int)
    for lines in joins.values():
        for line in lines:
            subject = line.subject
            if subject is not None:
                has = len(subject.student.class_ids) if subject.student else 0
                counts[subject] += 1
                if has + counts[subject] > max(has, MAX_CLASSES):
                    _refuse(draft, line, TOO_MANY_CLASSES)


def _refuse(draft: Draft, line: Line, detail: str) -> None:
    """Refuse a line. On whose first line it is not created, that cannot join on another."""
    line.refuse("class", "text", detail)
    person = draft.people.get(line.subject) if line.subject else None
    if person is None or person.home is not line:
        return
    person.after = person.before or person.after
    for other in person.subject.lines:
        if person.before is None and other is not line:
            other.refuse("class", "text", f"The student is not created: see {line.place}.")


def _leaving(draft: Draft, cls: ClassState, missing: AbstractSet[UUID]) -> int:
    """Return how many leave a class of those who are missing."""
    return sum(not draft.is_put_in(one, cls) for one in missing & cls.member_ids)


def _missing(draft: Draft) -> dict[UUID, AbstractSet[UUID]]:
    """Return who of each class is missing in the file and is to leave, or has a notice.

    Nobody leaves where a line could not be understood that may have been about them.
    """
    is_whole = draft.options.mode is Mode.SYNC and not draft.file.is_delta
    errors = [line for line in draft.lines if line.errors]
    unclear = {line.class_id for line in errors}
    unclear |= {place.id for place in draft.places.values() if place.has_errors}
    deleted = {place.id for place in draft.places.values() if place.is_deleted}
    if draft.file.errors or any(_is_of_any_class(line) for line in errors):
        is_whole = False
    named = _named(draft)
    return {
        cls.id: _known_in(draft, cls) - named.get(cls.id, set())
        for cls in [draft.state.classes[one] for one in draft.order if one in draft.state.classes]
        if cls.id not in unclear and (is_whole or cls.id in deleted)
    }


def _known_in(draft: Draft, cls: ClassState) -> AbstractSet[UUID]:
    """Return the members of a class, and whom somebody took out since the last import."""
    return cls.member_ids | ((cls.marked or frozenset()) & draft.state.students.keys())


def _is_of_any_class(line: Line) -> bool:
    """Whether a line may have been about a member of any class; users.csv says nothing of them."""
    return line.class_id is None and line.row.class_key is None and line.row.file != USERS


def _named(draft: Draft) -> dict[UUID | None, set[UUID]]:
    """Return of each class the students whom its lines name, and so say what becomes of them."""
    named: defaultdict[UUID | None, set[UUID]] = defaultdict(set)
    for line in draft.lines:
        student = line.subject.student if line.subject else None
        if student is not None and not line.is_void:
            named[line.class_id].add(student.id)
            if line.row.wish is Wish.DELETE:
                for class_id in student.class_ids:
                    named[class_id].add(student.id)
    return named
