"""The classes that a file means: those that are there, and those that it makes.

By external id, then by an id of ours (exports have it where there is none), then by exact name, and
course if the file says it: a teacher may have one group in two courses. The course of a new class
comes from the file, else from the request; an import changes no class's course.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from rules.courses import COURSES
from rules.errors import ClassNotFoundError, FieldError, ValidationFailedError
from rules.ids import new_id
from rules.imports.files import CellError, FileClass, FileContents, Format
from rules.imports.marks import who_had
from rules.imports.plans import (
    ClassState,
    Notice,
    NoticeCode,
    PlannedRow,
    PlanOptions,
    RosterState,
    RowEntity,
    RowKind,
)


@dataclass(slots=True)
class Place:
    """What a class of the file is: `id` is None if that cannot be said, or the class is gone.

    `row` is what becomes of the class itself, None for nothing worth a row.
    """

    id: UUID | None = None
    row: PlannedRow | None = None
    is_new: bool = False
    is_deleted: bool = False

    @property
    def has_errors(self) -> bool:
        """Whether the file's class cannot be imported as it is."""
        return self.row is not None and self.row.kind is RowKind.ERROR


def places_of(
    file: FileContents, state: RosterState, options: PlanOptions
) -> dict[str | None, Place]:
    """Return what each class of a file is, by its key.

    Raises ValidationFailedError for a course that is none, or a file that names no class;
    ClassNotFoundError for a class to import into that is not there.
    """
    if options.course_code is not None and options.course_code not in COURSES:
        detail = f"Unknown course code; known are {', '.join(COURSES)}."
        raise ValidationFailedError(detail, [FieldError("/course_code", detail)])
    if options.class_id is not None:
        return _in_one(file, state, options.class_id)
    if file.format is Format.CSV and file.rows and not file.classes:
        raise ValidationFailedError(
            "The file names no class: add a column with it, or import it into a class."
        )
    return _Finder(state, options).places(file.classes)


def _in_one(file: FileContents, state: RosterState, class_id: UUID) -> dict[str | None, Place]:
    """Return the places of a file for one class: what the file calls it does not matter."""
    cls = state.classes.get(class_id)
    if cls is None:
        raise ClassNotFoundError
    places: dict[str | None, Place] = {None: Place(class_id)}
    for one in file.classes:
        places[one.key] = _refused_course(one, cls) or Place(class_id)
    return places


class _Finder:
    """Finds the classes of an owner by what files call them."""

    def __init__(self, state: RosterState, options: PlanOptions) -> None:
        self._state, self._options = state, options
        self._ids = {one.external_id: one for one in state.classes.values() if one.external_id}
        self._names = _by_name((one.name, one) for one in state.classes.values())
        marks = [(one.mark, one) for one in state.classes.values() if one.mark]
        self._marked_ids = who_had((mark.external_id, one) for mark, one in marks)
        self._marked_names = _by_name((mark.name, one) for mark, one in marks)
        self._made: defaultdict[str, list[tuple[FileClass, Place]]] = defaultdict(list)

    def places(self, classes: Iterable[FileClass]) -> dict[str | None, Place]:
        """Return what the classes of the file are, by their keys."""
        found = self._find(list(classes))
        claims = Counter(one.id for some in found.values() for one in some)
        return {one.key: self._place(one, some, claims) for one, some in found.items()}

    def _find(self, classes: Sequence[FileClass]) -> Mapping[FileClass, Sequence[ClassState]]:
        """Return which classes they may be; more than one by name only.

        What one means by better signs is no other one: who renames 7A to 8A imports a new 7A.
        """
        found: dict[FileClass, Sequence[ClassState]] = dict.fromkeys(classes, ())
        for look in (self._of_id, self._of_marked_id, self._of_name, self._of_marked_name):
            taken = {cls.id for some in found.values() for cls in some}
            for one in [one for one, some in found.items() if not some]:
                found[one] = [cls for cls in look(one) if cls.id not in taken]
        return found

    def _place(
        self, one: FileClass, found: Sequence[ClassState], claims: Mapping[UUID, int]
    ) -> Place:
        if one.errors:
            return Place(row=_row(one, RowKind.ERROR, errors=one.errors))
        if len(found) > 1:
            return _refused(one, "class", "text", "Several of your classes have this name.")
        if not found:
            return self._same_as_made(one) or self._new(one)
        if claims[found[0].id] > 1:
            return _refused(one, "class", "text", _SEVERAL, found[0].id)
        return self._there(one, found[0])

    def _of_id(self, one: FileClass) -> Sequence[ClassState]:
        if one.external_id is None:
            return ()
        cls = self._ids.get(one.external_id) or self._of_own_id(one.external_id)
        return [cls] if cls else ()

    def _of_own_id(self, text: str) -> ClassState | None:
        try:
            own = UUID(text)
        except ValueError:
            return None
        return self._state.classes.get(own) if str(own) == text.lower() else None

    def _of_marked_id(self, one: FileClass) -> Sequence[ClassState]:
        cls = self._marked_ids.get(one.external_id) if one.external_id else None
        return [cls] if cls else ()

    def _of_name(self, one: FileClass) -> Sequence[ClassState]:
        return _fitting(one, self._names)

    def _of_marked_name(self, one: FileClass) -> Sequence[ClassState]:
        return _fitting(one, self._marked_names)

    def _there(self, one: FileClass, cls: ClassState) -> Place:
        """Return the place of a class that is there, with what the file changes of it."""
        if refused := _refused_course(one, cls):
            return refused
        if one.is_deleted:
            detail = "The file deletes the class: its students leave, the class itself stays."
            notice = Notice(NoticeCode.NOT_TAKEN, detail)
            row = _row(one, RowKind.UNCHANGED, cls.id, notices=[notice])
            return Place(cls.id, row, is_deleted=True)
        return Place(cls.id, self._changed(one, cls))

    def _changed(self, one: FileClass, cls: ClassState) -> PlannedRow | None:
        is_own = one.external_id is not None and one.external_id.lower() == str(cls.id)
        named = {"name": one.name, "external_id": None if is_own else one.external_id}
        said = {member: value for member, value in named.items() if value is not None}
        wanted = [member for member in said if said[member] != getattr(cls, member)]
        kept = [member for member in wanted if self._is_by_hand(cls, member)]
        notices = [
            Notice(NoticeCode.KEPT_BY_HAND, f"Its {_TEXTS[m]} was changed by hand.") for m in kept
        ]
        too = [m for m in said if said[m] == getattr(cls, m) and _is_changed(cls, m)]
        notices += [
            Notice(NoticeCode.SAID_TOO, f"Its {_TEXTS[m]} was changed by hand, as the file has it.")
            for m in too
        ]
        changed = [member for member in wanted if member not in kept]
        after = {member: said[member] for member in (*changed, *too)}
        before = {member: getattr(cls, member) for member in after}
        if changed or notices:
            kind = RowKind.UPDATED if changed else RowKind.UNCHANGED
            return _row(one, kind, cls.id, before or None, after or None, notices=notices)
        return None

    def _is_by_hand(self, cls: ClassState, member: str) -> bool:
        return not self._options.overwrite and _is_changed(cls, member)

    def _same_as_made(self, one: FileClass) -> Place | None:
        """Return the new class that it is, too, if the file names it also without its id."""
        same = [
            place
            for made, place in self._made.get(one.name or "", ())
            if None in (one.external_id, made.external_id)
            and (None in (one.course_code, made.course_code) or one.course_code == made.course_code)
        ]
        return Place(same[0].id, is_new=True) if len(same) == 1 else None

    def _new(self, one: FileClass) -> Place:
        course = one.course_code or self._options.course_code
        if one.is_deleted:
            return Place(is_deleted=True)
        if one.name is None:
            return _refused(one, "class", "empty", "There is no such class, and it has no name.")
        if one.has_unknown_course or (course is not None and course not in COURSES):
            detail = f"Unknown course code; known are {', '.join(COURSES)}."
            return _refused(one, "course", "text", detail)
        if course is None:
            detail = "A new class needs a course: a column with it, or `course_code`."
            return _refused(one, "course", "empty", detail)
        values = {"name": one.name, "course_code": course, "external_id": one.external_id}
        after = {member: value for member, value in values.items() if value is not None}
        class_id = new_id()
        notices = [_SAME_NAME] if one.name in self._names else []
        row = _row(one, RowKind.CREATED, class_id, None, after, notices=notices)
        place = Place(class_id, row, is_new=True)
        self._made[one.name].append((one, place))
        return place


_SEVERAL: Final = "Several classes of the file may be this one of yours: give it an external id."
_SAME_NAME: Final = Notice(
    NoticeCode.NEAR_DUPLICATE, "You have a class of this name, with another id or course."
)
_TEXTS: Final[Mapping[str, str]] = {"name": "name", "external_id": "external id"}


def _by_name(pairs: Iterable[tuple[str, ClassState]]) -> Mapping[str, list[ClassState]]:
    found: defaultdict[str, list[ClassState]] = defaultdict(list)
    for name, cls in pairs:
        found[name].append(cls)
    return found


def _is_changed(cls: ClassState, member: str) -> bool:
    """Whether somebody has changed a class since the last import."""
    return cls.mark is not None and getattr(cls, member) != getattr(cls.mark, member)


def _fitting(one: FileClass, names: Mapping[str, Sequence[ClassState]]) -> Sequence[ClassState]:
    """Return the classes of its name, and of its course if the file says that."""
    return [
        cls
        for cls in names.get(one.name or "", ())
        if None in (cls.external_id, one.external_id) and one.course_code in (None, cls.course_code)
    ]


def _refused_course(one: FileClass, cls: ClassState) -> Place | None:
    """Return the refusal of a course that is not the class's, None if there is nothing wrong."""
    if one.course_code in (None, cls.course_code):
        return None
    detail = f"The class belongs to {cls.course_code}: an import does not change that."
    return _refused(one, "course", "text", detail, cls.id)


def _refused(
    one: FileClass, column: str, value_kind: str, detail: str, class_id: UUID | None = None
) -> Place:
    error = CellError(column, value_kind, detail)
    return Place(class_id, _row(one, RowKind.ERROR, class_id, errors=[error]))


def _row(
    one: FileClass,
    kind: RowKind,
    class_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    errors: Sequence[CellError] = (),
    notices: Sequence[Notice] = (),
) -> PlannedRow:
    return PlannedRow(
        kind,
        RowEntity.CLASS,
        line=one.line,
        file=one.file,
        class_id=class_id,
        before=before,
        after=after,
        errors=tuple(errors),
        notices=tuple(notices),
    )
