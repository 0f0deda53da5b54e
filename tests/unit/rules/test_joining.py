"""Who is there, who joins, and for whom a class has no place."""

from dataclasses import replace
from uuid import UUID

import pytest

from rules.changes import Created, NewStudentRequest
from rules.errors import (
    ClassNotFoundError,
    EmailConflictError,
    ExternalIdConflictError,
    IdempotencyConflictError,
    PlaceholderError,
    ServiceError,
    ValidationFailedError,
)
from rules.joining import (
    Joining,
    Meant,
    answer_existing,
    crowded,
    diff_of,
    runs_of,
    takes_external_id,
    without_place,
)
from rules.limits import MAX_CLASSES, check_classes
from rules.models import Caller, NewStudent, StudentRecord
from tests.unit.rules.strategies import CLASSES, NOW, STUDENTS, TRACE, person

A, B, *_ = CLASSES
MINE = Caller("teacher-1", TRACE)
PUPIL = StudentRecord(STUDENTS[0], "teacher-1", person("Åsa"), "a@b.example", (A,), 7, NOW, NOW)
THEIRS = replace(PUPIL, owner_id="teacher-2")
UNKNOWN = replace(PUPIL, is_placeholder=True)
OTHER_NAME = replace(PUPIL, name=person("Eva"))
NEW = UUID(int=7)


def request(
    student_id: UUID = NEW, email: str | None = "a@b.example", *class_ids: UUID
) -> NewStudentRequest:
    return NewStudentRequest(MINE, NewStudent(student_id, person("Åsa"), email, class_ids))


@pytest.mark.parametrize(
    ("meant", "expected"),
    [
        (Meant(), None),
        (Meant(by_email=PUPIL), Joining(PUPIL, by_email=True)),
        (Meant(by_email=OTHER_NAME), EmailConflictError(student_id=PUPIL.id)),
        (Meant(by_email=UNKNOWN), EmailConflictError()),
        (Meant(by_id=PUPIL), Joining(PUPIL)),
        (Meant(by_id=replace(PUPIL, class_ids=(A, B))), "repetition"),
        (Meant(by_id=replace(PUPIL, email=None)), Joining(replace(PUPIL, email=None))),
        (Meant(by_id=OTHER_NAME, by_email=PUPIL), IdempotencyConflictError(student_id=PUPIL.id)),
        (Meant(by_id=THEIRS), IdempotencyConflictError()),
        (Meant(by_id=THEIRS, by_email=PUPIL), IdempotencyConflictError()),
        (Meant(by_id=UNKNOWN), PlaceholderError()),
        (Meant(by_id=replace(UNKNOWN, owner_id="teacher-2")), IdempotencyConflictError()),
    ],
)
def test_who_is_meant(meant: Meant, expected: object) -> None:
    wanted = request(NEW, "a@b.example", A, B)
    answer = answer_existing(wanted, meant, has_classes=True, joins=True)
    if expected == "repetition":
        assert meant.by_id is not None
        assert answer == Created(meant.by_id, is_new=False)
    elif isinstance(expected, ServiceError):
        assert isinstance(answer, type(expected))
        assert isinstance(answer, ServiceError)
        assert answer.student_id == expected.student_id
    else:
        assert answer == expected
    refused = answer_existing(wanted, meant, has_classes=True, joins=False)
    assert not isinstance(refused, Joining)
    absent = answer_existing(wanted, meant, has_classes=False, joins=True)
    if isinstance(answer, Joining) or meant.by_id is None:
        assert isinstance(absent, ClassNotFoundError)


CALLED = replace(PUPIL, id=STUDENTS[1], external_id="4711")


@pytest.mark.parametrize(
    ("meant", "expected"),
    [
        (Meant(by_external_id=CALLED), Joining(CALLED)),
        (Meant(by_email=PUPIL, by_external_id=CALLED), Joining(CALLED)),
        (Meant(by_id=PUPIL, by_external_id=CALLED), Joining(PUPIL)),
        (Meant(by_id=CALLED), Joining(CALLED)),
        (Meant(by_id=replace(CALLED, class_ids=(A, B))), Created),
        (Meant(by_id=replace(PUPIL, class_ids=(A, B))), Joining),
        (
            Meant(by_email=PUPIL, by_external_id=replace(OTHER_NAME, id=STUDENTS[1])),
            ExternalIdConflictError(student_id=STUDENTS[1]),
        ),
        (Meant(by_external_id=UNKNOWN), ExternalIdConflictError()),
        # One address, two ids: two pupils.
        (Meant(by_email=replace(PUPIL, external_id="4712")), EmailConflictError()),
    ],
)
def test_who_is_meant_by_an_external_id(meant: Meant, expected: object) -> None:
    new = replace(request(NEW, "a@b.example", A, B).new, external_id="4711")
    wanted = NewStudentRequest(MINE, new)
    answer = answer_existing(wanted, meant, has_classes=True, joins=True)
    if isinstance(expected, ServiceError):
        assert isinstance(answer, type(expected))
        assert expected.student_id in (None, answer.student_id)
    elif isinstance(expected, type):
        assert isinstance(answer, expected)
    else:
        assert answer == expected
    refused = answer_existing(wanted, meant, has_classes=True, joins=False)
    assert isinstance(refused, ServiceError) or isinstance(answer, Created)
    if meant.by_id is None and meant.by_external_id is not None:
        assert isinstance(refused, ExternalIdConflictError)


def test_who_lacks_an_external_id_takes_the_one_that_is_given() -> None:
    wanted = request(NEW, None)
    called = NewStudentRequest(MINE, replace(wanted.new, external_id="4711"))
    assert not takes_external_id(PUPIL, wanted)
    assert takes_external_id(PUPIL, called)
    assert not takes_external_id(CALLED, called)
    assert diff_of(PUPIL, called) is None
    diff = diff_of(PUPIL, called, takes_id=True)
    assert diff is not None
    assert (diff.record, diff.joins) == (replace(PUPIL, external_id="4711"), ())


def test_a_statement_has_each_id_and_each_external_id_of_an_owner_once() -> None:
    other = Caller("teacher-2", TRACE)

    def one(number: int, external_id: str | None, who: Caller = MINE) -> NewStudentRequest:
        student_id = UUID(int=number)
        return NewStudentRequest(
            who, NewStudent(student_id, person("Åsa"), None, external_id=external_id)
        )

    requests = [
        *(one(1, None), one(2, "a"), one(3, None), one(4, "b"), one(5, "a", other)),
        *(one(6, "a"), one(7, "b")),
        *(one(8, "b"), one(7, "c")),
        one(7, None),
    ]
    assert [len(run) for run in runs_of(requests)] == [5, 2, 2, 1]
    assert [r for run in runs_of(requests) for r in run] == requests


def test_places_go_to_the_first_and_who_is_there_takes_none() -> None:
    requests = [
        request(UUID(int=1), "a@b.example", A),  # is in it
        request(UUID(int=2), "b@b.example", A, B),  # new: the place
        request(UUID(int=3), "B@b.example", A),  # the same pupil
        request(UUID(int=4), "c@b.example", A),  # none left
        request(UUID(int=5), "d@b.example", B),  # elsewhere
        request(UUID(int=6), "C@b.example", B),  # the fourth was not made
        request(UUID(int=8), None, A),  # none left
    ]
    answers = [Joining(PUPIL), *[None] * 6]
    refused = without_place(requests, answers, {A: 1, B: 3}, joins=True)
    assert refused.keys() == {UUID(int=4), UUID(int=8)}
    assert {type(one) for one in refused.values()} == {ValidationFailedError}


def test_only_a_class_that_could_be_too_full_is_looked_at() -> None:
    assert not crowded([A, A, A], {A: 7, B: 10}, 10)
    assert crowded([A, A, A], {A: 8}, 10)


def test_what_is_beyond_the_limit_stays_and_only_more_is_refused() -> None:
    for before, after in ((MAX_CLASSES + 9, MAX_CLASSES + 9), (MAX_CLASSES + 9, MAX_CLASSES + 8)):
        check_classes(before, after, "class_ids")
    with pytest.raises(ValidationFailedError):
        check_classes(MAX_CLASSES + 9, MAX_CLASSES + 10, "class_ids")
    with pytest.raises(ValidationFailedError):
        check_classes(MAX_CLASSES, MAX_CLASSES + 1, "class_ids")
