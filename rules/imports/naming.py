"""Which classes a CSV file names: by external id, by name and course, or by name alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rules.courses import COURSES
from rules.imports.files import FileClass
from rules.imports.headings import Column

_COURSES = {
    "".join(name.casefold().split()): course.code
    for course in COURSES.values()
    for name in (course.code, course.name)
}

OTHER_NAME = "Another line gives the class of this external id another name."
OTHER_COURSE = "Another line gives this class another course."
AMBIGUOUS = "The file has several classes of this name: give the course, or an external id."
UNKNOWN_COURSE = f"Unknown course code; known are {', '.join(COURSES)}."


def course_of(text: str) -> str | None:
    """Return the code of a course by its code or its name, None for one that is not known."""
    return _COURSES.get("".join(text.casefold().split()))


@dataclass(frozen=True, slots=True)
class Said:
    """What a line says of its class. `has_unknown_course`: a course, but one that is none."""

    name: str | None
    external_id: str | None
    course_code: str | None
    has_unknown_course: bool = False

    def __bool__(self) -> bool:
        return any((self.name, self.external_id, self.course_code))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with how a line names its class; `key` is that class if it is known."""

    column: Column
    detail: str
    key: str | None = None


@dataclass(slots=True)
class _Group:
    """A class, as far as lines have told."""

    key: str
    line: int
    name: str | None
    external_id: str | None
    course_code: str | None
    has_unknown_course: bool

    def in_file(self) -> FileClass:
        is_unknown = self.has_unknown_course and self.course_code is None
        return FileClass(
            self.key,
            self.line,
            self.name,
            self.external_id,
            self.course_code,
            has_unknown_course=is_unknown,
        )


@dataclass(slots=True)
class Naming:
    """Puts lines of the same class together."""

    _said: dict[Said, int] = field(default_factory=dict)
    _groups: list[_Group] = field(default_factory=list)
    _by_id: dict[str, _Group] = field(default_factory=dict)
    _by_name: dict[str, list[_Group]] = field(default_factory=dict)
    _found: dict[Said, str | Fault] = field(default_factory=dict)

    def add(self, said: Said, line: int) -> None:
        """Note what a line says."""
        self._said.setdefault(said, line)

    def resolve(self) -> Mapping[Said, str | Fault]:
        """Return for all that was said the key of its class, or what is wrong."""
        for said, line in self._in_order():
            self._found[said] = self._place(said, line)
        return self._found

    def classes(self) -> tuple[FileClass, ...]:
        """Return the classes that were found, in the order of their lines."""
        groups = sorted(self._groups, key=lambda group: group.line)
        return tuple(one.in_file() for one in groups)

    def _in_order(self) -> Iterator[tuple[Said, int]]:
        """Yield first what says the most."""
        yield from ((said, line) for said, line in self._said.items() if said.external_id)
        rest = [(said, line) for said, line in self._said.items() if not said.external_id]
        yield from ((said, line) for said, line in rest if said.course_code)
        yield from ((said, line) for said, line in rest if not said.course_code)

    def _place(self, said: Said, line: int) -> str | Fault:
        if said.external_id is not None:
            return self._by_external_id(said, said.external_id, line)
        several = self._candidates(said)
        if len(several) > 1:
            return Fault(Column.CLASS, AMBIGUOUS)
        group = several[0] if several else self._new(said, line)
        return self._told(group, said, line)

    def _by_external_id(self, said: Said, external_id: str, line: int) -> str | Fault:
        group = self._by_id.get(external_id)
        if group is None:
            group = self._by_id[external_id] = self._new(said, line)
        if said.name is not None and group.name not in (None, said.name):
            return Fault(Column.CLASS, OTHER_NAME, group.key)
        return self._told(group, said, line)

    def _candidates(self, said: Said) -> list[_Group]:
        named = self._groups if said.name is None else self._by_name.get(said.name, [])
        if said.course_code is None:
            return named
        same = [group for group in named if group.course_code == said.course_code]
        return same or [group for group in named if group.course_code is None]

    def _told(self, group: _Group, said: Said, line: int) -> str | Fault:
        """Add to a class what a line says of it."""
        if said.course_code is not None and group.course_code not in (None, said.course_code):
            return Fault(Column.COURSE, OTHER_COURSE, group.key)
        if group.name is None and said.name is not None:
            group.name = said.name
            self._by_name.setdefault(said.name, []).append(group)
        group.course_code = group.course_code or said.course_code
        group.has_unknown_course |= said.has_unknown_course
        group.line = min(group.line, line)
        return group.key

    def _new(self, said: Said, line: int) -> _Group:
        key = f"{len(self._groups) + 1}"
        group = _Group(
            key, line, said.name, said.external_id, said.course_code, said.has_unknown_course
        )
        self._groups.append(group)
        if said.name is not None:
            self._by_name.setdefault(said.name, []).append(group)
        return group
