"""A plan while it is made: the lines of the file with their classes, and whom they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from rules.ids import new_id
from rules.imports.files import FileContents, Format, Wish
from rules.imports.matching import match
from rules.imports.places import Place, places_of
from rules.imports.plans import ClassState, Notice, PlanOptions, RosterState
from rules.imports.subjects import Line, Subject, subjects_of
from rules.imports.values import Values, values_of
from rules.imports.wanted import new_values, wanted


@dataclass(slots=True, eq=False)
class Person:
    """A student whom the file wants in a class: as it is, and as it is to be.

    `home` is the line that creates or changes it, `where` the class in whose part that is done.
    """

    subject: Subject
    id: UUID
    before: Values | None
    after: Values
    home: Line
    where: UUID | None
    notices: list[Notice] = field(default_factory=list)

    @property
    def is_changed(self) -> bool:
        """Whether it is there, and its values change."""
        return self.before is not None and self.before != self.after


@dataclass(slots=True)
class Draft:
    """A plan while it is made.

    `order` has the classes in the order of their parts; `keeps` of each person and class the line
    that has it there.
    """

    file: FileContents
    state: RosterState
    options: PlanOptions
    places: Mapping[str | None, Place]
    lines: list[Line]
    order: list[UUID]
    people: dict[Subject, Person] = field(default_factory=dict)
    keeps: dict[tuple[Subject, UUID | None], Line] = field(default_factory=dict)

    @property
    def made(self) -> set[UUID]:
        """The classes that the plan makes."""
        return {place.id for place in self.places.values() if place.is_new and place.id}

    def rank(self) -> dict[UUID | None, int]:
        """Return the places of the classes in their order; what has no class comes last."""
        return {class_id: number for number, class_id in enumerate((*self.order, None))}

    def is_taken_out(self, student_id: UUID, cls: ClassState) -> bool:
        """Whether somebody took a student out of a class since the last import left it there."""
        is_out = student_id not in cls.member_ids and cls.is_by_hand(student_id)
        return is_out and not self.options.overwrite

    def is_put_in(self, student_id: UUID, cls: ClassState) -> bool:
        """Whether somebody put a member into a class since the last import."""
        return cls.is_by_hand(student_id) and not self.options.overwrite


def draft_of(file: FileContents, state: RosterState, options: PlanOptions) -> Draft:
    """Return a draft in which the lines have their classes and people.

    Raises ValidationFailedError, ClassNotFoundError.
    """
    places = places_of(file, state, options)
    lines = [_placed(order, file, places) for order in range(len(file.rows))]
    named = [*(line.class_id for line in lines), *(place.id for place in places.values())]
    order = list(dict.fromkeys(one for one in named if one is not None))
    draft = Draft(file, state, options, places, lines, order)
    _take_people(draft, match(subjects_of(lines), state))
    return draft


def _placed(order: int, file: FileContents, places: Mapping[str | None, Place]) -> Line:
    """Return a line with its class."""
    row = file.rows[order]
    line = Line(row, order, errors=list(row.errors))
    place = places.get(row.class_key)
    if place is not None:
        line.class_id, line.is_void = place.id, place.is_deleted
        if place.has_errors and place.id is None:
            line.refuse("class", "text", "Its class has an error, which is told beside the class.")
    elif row.class_key is not None or (file.format is Format.CSV and not line.errors):
        line.refuse("class", "empty", "The file does not say of which class the line is.")
    return line


def _take_people(draft: Draft, subjects: Iterable[Subject]) -> None:
    rank = draft.rank()
    for subject in subjects:
        if subject.is_deleted:
            continue
        keeping = [line for line in _keeping(subject) if not line.errors and not line.is_void]
        for line in keeping:
            draft.keeps.setdefault((subject, line.class_id), line)
        if keeping:
            home = min(keeping, key=lambda line: rank[line.class_id])
            _take(draft, subject, home)


def _keeping(subject: Subject) -> list[Line]:
    """Return the lines that want a person to be there; who is nobody here may be a teacher."""
    is_student = subject.student is not None or any(line.keeps for line in subject.lines)
    updates = {Wish.KEEP, Wish.UPDATE} if is_student else set[Wish]()
    return [line for line in subject.lines if line.row.wish in updates]


def _take(draft: Draft, subject: Subject, home: Line) -> None:
    student = subject.student
    if student is not None:
        after, notices = wanted(subject, student, overwrite=draft.options.overwrite)
        before = values_of(student)
        person = Person(subject, student.id, before, after, home, home.class_id, notices)
        draft.people[subject] = person
    elif made := new_values(subject):
        draft.people[subject] = Person(subject, new_id(), None, made, home, home.class_id)
    else:
        detail = "There is no such student, and a new one needs a name."
        subject.refuse("name", "empty", detail, ())
