"""Whom a request to create a student means, if somebody is there (docs/contract.md, section 3).

A request over HTTP makes a student or is refused. A command's student may be there already: it
joins the classes that the command names.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from itertools import groupby
from typing import TypeAlias
from uuid import UUID

from rules.changes import (
    Created,
    NewStudentRequest,
    StudentDiff,
    changed_student,
    distinct_runs,
)
from rules.emails import key_of
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ExternalIdConflictError,
    IdempotencyConflictError,
    PlaceholderError,
    ServiceError,
)
from rules.limits import MAX_CLASSES, too_many_classes, too_many_students
from rules.models import ExternalIdChange, NewStudent, PersonName, StudentChange, StudentRecord
from rules.text import joined, normalised
from rules.values import dataclass


@dataclass(frozen=True, slots=True)
class Joining:
    """The student that a request means, which joins its classes as far as it is not in them.

    `by_email`: nothing but its address and its name say that it is meant.
    """

    record: StudentRecord
    by_email: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """The student that a request means, in all of its classes."""

    record: StudentRecord


#: What becomes of a request to create a student.
Outcome: TypeAlias = Created[StudentRecord] | Joined | ServiceError


def student_of(made: Outcome) -> StudentRecord | ServiceError:
    """Return the student, new or there already, else the refusal."""
    return made if isinstance(made, ServiceError) else made.record


@dataclass(frozen=True, slots=True)
class Meant:
    """Who has a request's id, and who of its owner's students else has its other marks."""

    by_id: StudentRecord | None = None
    by_email: StudentRecord | None = None
    by_external_id: StudentRecord | None = None


def answer_existing(
    request: NewStudentRequest, meant: Meant, *, has_classes: bool, joins: bool
) -> Created[StudentRecord] | Joining | ServiceError | None:
    """Return what becomes of a request; None: nobody is there, and the student can be created.

    `has_classes`: all of its classes are the caller's. Without `joins` nobody joins anything.
    """
    if meant.by_id is not None:
        return _answer_id(meant.by_id, request, has_classes=has_classes, joins=joins)
    if not has_classes:
        return ClassNotFoundError()
    if meant.by_external_id is not None:
        return _answer_external_id(meant.by_external_id, request, joins=joins)
    holder = meant.by_email
    return None if holder is None else _answer_email(holder, request, joins=joins)


def _answer_id(
    existing: StudentRecord, request: NewStudentRequest, *, has_classes: bool, joins: bool
) -> Created[StudentRecord] | Joining | ServiceError:
    if existing.is_placeholder and existing.owner_id == request.caller.user_id:
        return PlaceholderError()
    if _is_repetition(existing, request):
        return Created(existing, is_new=False)
    if joins and _is_same(existing, request):
        return Joining(existing) if has_classes else ClassNotFoundError()
    return IdempotencyConflictError(student_id=_own_id(existing, request))


def _answer_external_id(
    existing: StudentRecord, request: NewStudentRequest, *, joins: bool
) -> Joining | ServiceError:
    if joins and _is_same(existing, request):
        return Joining(existing)
    return ExternalIdConflictError(student_id=_own_id(existing, request))


def _answer_email(
    existing: StudentRecord, request: NewStudentRequest, *, joins: bool
) -> Joining | ServiceError:
    if joins and _is_same(existing, request) and not is_called_otherwise(existing, request):
        return Joining(existing, by_email=True)
    return EmailConflictError(student_id=_own_id(existing, request))


def _is_repetition(existing: StudentRecord, request: NewStudentRequest) -> bool:
    """Whether it is as asked; classes joined since do not make it another one."""
    new = request.new
    wanted = request.caller.user_id, new.name, new.email, new.external_id
    is_as_wanted = wanted == (
        existing.owner_id,
        _normalised(existing.name),
        existing.email,
        existing.external_id,
    )
    return is_as_wanted and set(new.class_ids) <= set(existing.class_ids)


def _is_same(existing: StudentRecord, request: NewStudentRequest) -> bool:
    """Whether it is the same pupil; nobody is the UNKNOWN student."""
    is_own = existing.owner_id == request.caller.user_id and not existing.is_placeholder
    return is_own and _normalised(existing.name) == request.new.name


def is_called_otherwise(existing: StudentRecord, request: NewStudentRequest) -> bool:
    """Whether the other system calls them differently: they are two pupils with one address."""
    wanted = request.new.external_id
    return wanted is not None and existing.external_id not in (None, wanted)


def _is_one(first: NewStudent, new: NewStudent) -> bool:
    """Whether two new students with one address are the same pupil."""
    are_two = first.external_id is not None and new.external_id not in (None, first.external_id)
    return first.name == new.name and not are_two


def _normalised(name: PersonName) -> PersonName:
    """Return a name as it would be stored today."""
    first, last = normalised(name.first_name), normalised(name.last_name)
    put_together = name.legal_full_name == f"{name.first_name} {name.last_name}"
    legal = joined(first, last) if put_together else normalised(name.legal_full_name)
    return PersonName(first, last, legal)


def _own_id(existing: StudentRecord, request: NewStudentRequest) -> UUID | None:
    """Return the id of a student that its owner could have meant."""
    is_own = existing.owner_id == request.caller.user_id and not existing.is_placeholder
    return existing.id if is_own else None


def takes_external_id(existing: StudentRecord, request: NewStudentRequest) -> bool:
    """Whether who joins lacks an external id that the request gives.

    It gets it if nobody else has it: so the other system finds next time whom it meant.
    """
    return existing.external_id is None and request.new.external_id is not None


def diff_of(
    existing: StudentRecord, request: NewStudentRequest, *, takes_id: bool = False
) -> StudentDiff | None:
    """Return what joining changes of a student, None for nothing; `takes_id`: its external id, too.

    Raises ValidationFailedError.
    """
    external_id = ExternalIdChange(request.new.external_id) if takes_id else None
    change = StudentChange(add_class_ids=request.new.class_ids, external_id=external_id)
    return changed_student(existing, change, joined="class_ids")


# --- limits ------------------------------------------------------------------------------------


def runs_of(requests: Iterable[NewStudentRequest]) -> list[list[NewStudentRequest]]:
    """Split the requests, in order, into those that one statement can create.

    Those for too many classes create nobody: they are apart, so that they see whom those before
    them made, and nobody else. A statement has each external id once: it inserts in the order of
    the addresses, and of two with one external id the first is to be created.
    """
    return [
        list(run)
        for distinct in distinct_runs(requests, _marks)
        for _, run in groupby(distinct, lambda request: beyond_own_limit(request) is None)
    ]


def _marks(request: NewStudentRequest) -> tuple[Hashable, ...]:
    new = request.new
    if new.external_id is None:
        return (new.id,)
    return new.id, (request.caller.user_id, new.external_id)


def crowded(joins: Iterable[UUID], sizes: Mapping[UUID, int], most: int) -> bool:
    """Whether a class could get more than `most` students: each of `joins` is one for a class."""
    return any(sizes.get(class_id, 0) + n > most for class_id, n in Counter(joins).items())


def beyond_own_limit(request: NewStudentRequest) -> ServiceError | None:
    """Return the refusal of a new student in too many classes; who is there already may stay."""
    return too_many_classes("class_ids") if len(request.new.class_ids) > MAX_CLASSES else None


@dataclass(slots=True)
class Places:
    """The places that classes have left, as requests take them, one after the other."""

    left: MutableMapping[UUID, int]
    enrolled: MutableMapping[UUID, AbstractSet[UUID]] = field(default_factory=dict)
    coming: MutableMapping[tuple[str, str], NewStudentRequest] = field(default_factory=dict)


def without_place(
    requests: Sequence[NewStudentRequest],
    answers: Sequence[Created[StudentRecord] | Joining | ServiceError | None],
    left: Mapping[UUID, int],
    *,
    joins: bool,
) -> dict[UUID, ServiceError]:
    """Return the refusals of the requests whose classes are full, by their ids.

    `answers` are those of `answer_existing`, `left` the places of the classes: others have enough.
    """
    places = Places(dict(left))
    refused: dict[UUID, ServiceError] = {}
    for request, answer in zip(requests, answers, strict=True):
        if not _takes_place(places, request, answer, joins=joins):
            refused[request.new.id] = too_many_students("class_ids")
    return refused


def _takes_place(
    places: Places,
    request: NewStudentRequest,
    answer: Created[StudentRecord] | Joining | ServiceError | None,
    *,
    joins: bool,
) -> bool:
    """Take the places that a request needs, if there are; one that joins nothing needs none."""
    new = request.new
    if isinstance(answer, Created | ServiceError):
        return True
    student_id, classes = new.id, frozenset[UUID]()
    if isinstance(answer, Joining):
        student_id, classes = answer.record.id, frozenset(answer.record.class_ids)
    elif new.email is not None:
        first = places.coming.get((request.caller.user_id, key_of(new.email)), request)
        if first is not request and not (joins and _is_one(first.new, new)):
            return True  # a conflict with the first
        student_id = first.new.id
    enrolled = places.enrolled.get(student_id, classes)
    wanted = set(new.class_ids) - enrolled
    if any(places.left.get(class_id, 1) < 1 for class_id in wanted):
        return False
    for class_id in wanted & places.left.keys():
        places.left[class_id] -= 1
    places.enrolled[student_id] = enrolled | wanted
    if answer is None and new.email is not None:
        places.coming.setdefault((request.caller.user_id, key_of(new.email)), request)
    return True
