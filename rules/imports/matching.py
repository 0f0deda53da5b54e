"""Who of an owner's students the people of a file are.

By external id, then by address, then by exact name within the class; an id of ours counts as an
external one, since exports have it where there is none. What was changed by hand since the last
import is looked up by what that had left, too. Nobody is guessed: where a name means two students,
or an id one and the name another, that is an error.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from rules.emails import key_of
from rules.imports.marks import who_had
from rules.imports.plans import Notice, NoticeCode, RosterState, StudentState
from rules.imports.subjects import Subject
from rules.imports.values import full_name
from rules.models import PersonName

#: So many students of one name are looked at in a class: each is beside each line of that name.
_MOST: Final = 10

#: Students of a class by their names.
_Named: TypeAlias = Mapping[str, Sequence[StudentState]]


def match(subjects: Sequence[Subject], state: RosterState) -> list[Subject]:
    """Say of each person who it is; return the people, of whom two may have been one.

    Lines that cannot be understood get errors.
    """
    index = _Index(state)
    matching = _Matching(index)
    # What somebody has comes before what another one had.
    for of_id in (index.of_external_id, index.of_marked_id):
        for subject in subjects:
            matching.by_external_id(subject, of_id)
    matching.note_names(subjects)
    for of_key in (index.of_key, index.of_marked_key):
        for subject in subjects:
            matching.by_address(subject, of_key)
    # Nobody is taken out of a class for a name.
    matching.by_name([one for one in subjects if one.stays and one.student is None])
    return [subject for subject in subjects if subject.lines]


class _Index:
    """The students of an owner by what files know them by."""

    def __init__(self, state: RosterState) -> None:
        self._state = state
        students = state.students.values()
        marks = [(one, one.mark) for one in students if one.mark is not None]
        self._ids = _first((one.external_id, one) for one in students)
        self._marked_ids = who_had((mark.external_id, one) for one, mark in marks)
        self._keys = _first((_key(one.email), one) for one in _by_age(students))
        self._marked_keys = who_had((_key(mark.email), one) for one, mark in marks)
        self._named: dict[UUID, tuple[_Named, _Named]] = {}

    def of_external_id(self, external_id: str) -> tuple[StudentState | None, bool]:
        """Return who has an external id; and whether it is an id of ours."""
        found = self._ids.get(external_id)
        return (found, False) if found else (self._of_own_id(external_id), True)

    def of_marked_id(self, external_id: str) -> tuple[StudentState | None, bool]:
        """Return who had an external id from the last import."""
        return self._marked_ids.get(external_id), False

    def of_key(self, key: str) -> StudentState | None:
        """Return who has an address."""
        return self._keys.get(key)

    def of_marked_key(self, key: str) -> StudentState | None:
        """Return who had an address from the last import."""
        return self._marked_keys.get(key)

    def of_name(
        self, class_id: UUID | None, name: str
    ) -> tuple[Sequence[StudentState], Sequence[StudentState]]:
        """Return who has a name in a class, and who had it there from the last import."""
        if class_id is None or class_id not in self._state.classes:
            return (), ()
        now, before = self._named.get(class_id) or self._name(class_id)
        return now.get(name, ()), before.get(name, ())

    def _of_own_id(self, text: str) -> StudentState | None:
        try:
            own = UUID(text)
        except ValueError:
            return None
        return self._state.students.get(own) if str(own) == text.lower() else None

    def _name(self, class_id: UUID) -> tuple[_Named, _Named]:
        cls, students = self._state.classes[class_id], self._state.students
        now = defaultdict[str, list[StudentState]](list)
        before = defaultdict[str, list[StudentState]](list)
        for one in sorted(cls.member_ids & students.keys()):
            for name in _names(students[one].name):
                _keep(now[name], students[one])
        for one in sorted((cls.member_ids | (cls.marked or frozenset())) & students.keys()):
            student = students[one]
            marked = _names(student.mark.name) if student.mark else set()
            gone = set() if one in cls.member_ids else _names(student.name)
            for name in marked | gone:
                _keep(before[name], student)
        self._named[class_id] = now, before
        return now, before


@dataclass(slots=True)
class _Matching:
    """Who has been found. `wanted` are the names that the file has in each class."""

    index: _Index
    claims: dict[UUID, Subject] = field(default_factory=dict)
    wanted: set[tuple[UUID | None, str]] = field(default_factory=set)

    def by_external_id(
        self, subject: Subject, look: Callable[[str], tuple[StudentState | None, bool]]
    ) -> None:
        """Find a person by its external id."""
        if subject.external_id is None or not self._is_open(subject):
            return
        student, is_own = look(subject.external_id)
        if student is None:
            return
        claimed = self.claims.get(student.id)
        if claimed and not is_own and claimed.external_id not in (None, subject.external_id):
            return  # that student has another id by now
        if is_own:
            subject.external_id = None
        if other := self._mixed_up(subject, student):
            detail = "The id is of one student, the name of another: have they been mixed up?"
            subject.refuse("external_id", "text", detail, _both(student, other))
            return
        self._claim(subject, student)

    def note_names(self, subjects: Iterable[Subject]) -> None:
        """Note which names the file has in each class."""
        self.wanted = {
            (line.class_id, full_name(subject.name))
            for subject in subjects
            if subject.name
            for line in subject.lines
        }

    def by_address(self, subject: Subject, look: Callable[[str], StudentState | None]) -> None:
        """Find a person by its address."""
        key = subject.key
        if key is None or not self._is_open(subject):
            return
        student = look(key)
        if student is None or not _may_be(subject, student):
            return
        claimed = self.claims.get(student.id)
        if claimed and claimed.key not in (None, key):
            return  # that student gets another address
        other = self._namesake(subject, student)
        if other is None:
            self._claim(subject, student, NoticeCode.MATCHED_BY_EMAIL)
        elif not self._is_named(subject, student):
            detail = "The address is of one student, the name of another of the class."
            subject.refuse("email", "address", detail, _both(student, other))

    def by_name(self, subjects: Sequence[Subject]) -> None:
        """Find people by their exact name within a class."""
        taken = {
            (line.class_id, student_id)
            for student_id, subject in self.claims.items()
            for line in subject.lines
        }
        found = {
            subject: self._candidates(subject, taken)
            for subject in subjects
            if not subject.first.errors
        }
        wanting: defaultdict[UUID, list[Subject]] = defaultdict(list)
        for subject, candidates in found.items():
            for one in candidates:
                wanting[one].append(subject)
        unclear = {one for one, some in wanting.items() if _are_several(some)}
        for subject, candidates in found.items():
            if len(candidates) > 1 or not unclear.isdisjoint(candidates):
                detail = "Several students have this name: give an id or the address that is known."
                subject.refuse("name", "text", detail, _both(*candidates.values()))
            for student in candidates.values() if len(candidates) == 1 else ():
                if student.id not in unclear:
                    self._claim(subject, student, NoticeCode.MATCHED_BY_NAME)

    @staticmethod
    def _is_open(subject: Subject) -> bool:
        """Whether nothing is said of a person yet."""
        return subject.student is None and bool(subject.lines) and not subject.first.errors

    def _claim(
        self, subject: Subject, student: StudentState, matched: NoticeCode | None = None
    ) -> None:
        """Let a person be a student; if another is it already, the two are one."""
        first = self.claims.setdefault(student.id, subject)
        if first is subject:
            subject.student, subject.matched = student, matched
            return
        lines, subject.lines = subject.lines, []
        for line in lines:
            first.take(line)

    def _candidates(
        self, subject: Subject, taken: set[tuple[UUID | None, UUID]]
    ) -> dict[UUID, StudentState]:
        """Return who has a person's name in its classes and is not somebody else."""
        if subject.name is None:
            return {}
        found: dict[UUID, StudentState] = {}
        for line in subject.lines:
            for some in self.index.of_name(line.class_id, full_name(subject.name)):
                free = {
                    one.id: one
                    for one in some
                    if (line.class_id, one.id) not in taken and self._is_free(subject, one)
                }
                if free:
                    found |= free
                    break
        return found

    def _is_free(self, subject: Subject, student: StudentState) -> bool:
        """Whether no id says that a person is not a student, nor that another one is."""
        claimed = self.claims.get(student.id)
        ids = {claimed.external_id if claimed else None, subject.external_id} - {None}
        return len(ids) <= 1 and _may_be(subject, student)

    def _mixed_up(self, subject: Subject, student: StudentState) -> StudentState | None:
        """Return whom all but the id says that a person is: nobody becomes a classmate."""
        if _is_called(student, subject.name) or (subject.key and _has(student, subject.key)):
            return None
        return next((one for one in self._others(subject, student) if _fits(subject, one)), None)

    def _namesake(self, subject: Subject, student: StudentState) -> StudentState | None:
        """Return who else of the class has a person's name, if the student has another."""
        if _is_called(student, subject.name):
            return None
        others = [one for one in self._others(subject, student) if one.id not in self.claims]
        return next((one for one in others if _may_be(subject, one)), None)

    def _others(self, subject: Subject, student: StudentState) -> list[StudentState]:
        name = full_name(subject.name) if subject.name else ""
        found: list[StudentState] = []
        for line in subject.lines:
            now, before = self.index.of_name(line.class_id, name)
            found += [one for one in now or before if one is not student]
        return found

    def _is_named(self, subject: Subject, student: StudentState) -> bool:
        """Whether the file has the student itself by name beside a person with its address."""
        names = _names(student.name)
        return any((line.class_id, name) in self.wanted for line in subject.lines for name in names)


def _keep(namesakes: list[StudentState], one: StudentState) -> None:
    if len(namesakes) < _MOST:
        namesakes.append(one)


def _first(pairs: Iterable[tuple[str | None, StudentState]]) -> dict[str, StudentState]:
    found: dict[str, StudentState] = {}
    for key, one in pairs:
        if key is not None:
            found.setdefault(key, one)
    return found


def _by_age(students: Iterable[StudentState]) -> list[StudentState]:
    """Return the students, the oldest first, who has the key of an address that several have."""
    key: Callable[[StudentState], UUID] = lambda one: one.id  # noqa: E731
    return sorted(students, key=key)


def _key(email: str | None) -> str | None:
    return key_of(email) if email else None


def _has(student: StudentState, key: str) -> bool:
    return key in (_key(student.email), _key(student.mark.email) if student.mark else None)


def _names(name: PersonName) -> set[str]:
    """Return the texts by which a student is called in a class."""
    return {full_name(name), name.legal_full_name}


def _is_called(student: StudentState, name: PersonName | None) -> bool:
    """Whether a name is the student's, or was when the last import left it."""
    if name is None:
        return True
    names = _names(student.name) | (_names(student.mark.name) if student.mark else set())
    return not names.isdisjoint(_names(name))


def _may_be(subject: Subject, student: StudentState) -> bool:
    """Whether a person may be a student, as far as their external ids go."""
    return None in (subject.external_id, student.external_id) or (
        subject.external_id == student.external_id
    )


def _fits(subject: Subject, student: StudentState) -> bool:
    return subject.key is None or _has(student, subject.key)


def _are_several(subjects: Sequence[Subject]) -> bool:
    """Whether people of one name cannot all be the same student, on lines of several classes."""
    first, *others = subjects
    classes = [line.class_id for one in subjects for line in one.lines]
    if others and len(classes) > len(set(classes)):
        return True
    return any(first.contradiction(line) for one in others for line in one.lines)


def _both(*students: StudentState) -> list[Notice]:
    return [
        Notice(NoticeCode.NEAR_DUPLICATE, "The line may be about this student.", one.id)
        for one in students
    ]
