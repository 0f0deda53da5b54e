"""Asking for what is so changes nothing."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.changes import (
    Created,
    NewClassRequest,
    NewStudentRequest,
    changed_class,
    changed_student,
    existing_class,
)
from rules.joining import Meant, answer_existing
from rules.models import (
    Caller,
    ClassChange,
    ClassRecord,
    EmailChange,
    NewClass,
    NewStudent,
    StudentChange,
    StudentRecord,
)
from tests.unit.rules.strategies import CLASSES, NOW, STUDENTS, TRACE, person

A, B, C = CLASSES
CLASS = ClassRecord(A, "teacher-1", "9A", "SV1", 3, 7, NOW, NOW)
STUDENT = StudentRecord(
    STUDENTS[0], "teacher-1", person(), "a@b.example", (A, B), 7, created_at=NOW, updated_at=NOW
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ClassChange(), None),
        (ClassChange(name="9A"), None),
        (ClassChange(course_code="SV1"), None),
        (ClassChange("9A", "SV1"), None),
        (ClassChange(name="9B"), ("9B", "SV1")),
        (ClassChange(course_code="ENG5"), ("9A", "ENG5")),
        (ClassChange("9B", "ENG5"), ("9B", "ENG5")),
        (ClassChange(name="9a"), ("9a", "SV1")),
    ],
)
def test_class_change(change: ClassChange, expected: tuple[str, str] | None) -> None:
    changed = changed_class(CLASS, change)
    if expected is None:
        assert changed is None
    else:
        assert changed == replace(CLASS, name=expected[0], course_code=expected[1])


@pytest.mark.parametrize(
    "change",
    [
        StudentChange(),
        StudentChange(name=person()),
        StudentChange(email=EmailChange("a@b.example")),
        StudentChange(add_class_ids=(A,)),
        StudentChange(remove_class_ids=(C,)),
    ],
)
def test_student_as_it_is_is_not_changed(change: StudentChange) -> None:
    assert changed_student(STUDENT, change) is None


@pytest.mark.parametrize(
    ("change", "expected", "joins", "leaves"),
    [
        (
            StudentChange(name=person("Bo", "Ek")),
            replace(STUDENT, name=person("Bo", "Ek")),
            (),
            (),
        ),
        (StudentChange(email=EmailChange(None)), replace(STUDENT, email=None), (), ()),
        (
            StudentChange(email=EmailChange("A@b.example")),
            replace(STUDENT, email="A@b.example"),
            (),
            (),
        ),
        (
            StudentChange(add_class_ids=(C, A)),
            replace(STUDENT, class_ids=(A, B, C)),
            (C,),
            (),
        ),
        (
            StudentChange(remove_class_ids=(A, C)),
            replace(STUDENT, class_ids=(B,)),
            (),
            (A,),
        ),
        (
            StudentChange(add_class_ids=(C,), remove_class_ids=(B, A)),
            replace(STUDENT, class_ids=(C,)),
            (C,),
            (B, A),
        ),
    ],
)
def test_student_change(
    change: StudentChange,
    expected: StudentRecord,
    joins: tuple[UUID, ...],
    leaves: tuple[UUID, ...],
) -> None:
    diff = changed_student(STUDENT, change)
    assert diff is not None
    assert (diff.record, diff.joins, diff.leaves) == (expected, joins, leaves)


changes = st.builds(
    lambda name, email, joined, left: StudentChange(
        name, email, tuple(joined), tuple(c for c in left if c not in joined)
    ),
    st.none() | st.sampled_from([person(), person("Bo", "Ek")]),
    st.none() | st.sampled_from([EmailChange(None), EmailChange("a@b.example")]),
    st.lists(st.sampled_from(CLASSES), unique=True),
    st.lists(st.sampled_from(CLASSES), unique=True),
)


@given(changes, st.sets(st.sampled_from(CLASSES)))
def test_change_made_twice_changes_once(change: StudentChange, enrolled: set[UUID]) -> None:
    record = replace(STUDENT, class_ids=tuple(sorted(enrolled)))
    diff = changed_student(record, change)
    changed = diff.record if diff else record
    assert changed_student(changed, change) is None
    assert changed.class_ids == tuple(sorted(set(changed.class_ids)))
    assert set(change.add_class_ids) <= set(changed.class_ids)
    assert not set(change.remove_class_ids) & set(changed.class_ids)
    if diff:
        assert enrolled | set(diff.joins) == set(changed.class_ids) | set(diff.leaves)


@pytest.mark.parametrize("written", ["\ufeffÅsa ", "A\u030asa", "Åsa"])
def test_a_repetition_of_what_an_earlier_version_stored_is_one(written: str) -> None:
    """That kept text as it was sent; this one normalises what comes."""
    caller = Caller("teacher-1", TRACE)
    new_student = NewStudent(STUDENT.id, person("Åsa"), STUDENT.email, STUDENT.class_ids)
    student = replace(STUDENT, name=person(written))
    request = NewStudentRequest(caller, new_student)
    made = answer_existing(request, Meant(by_id=student), has_classes=True, joins=False)
    assert made == Created(student, is_new=False)
    cls = replace(CLASS, name=written)
    again = existing_class(cls, None, NewClassRequest(caller, NewClass(A, "Åsa", "SV1")))
    assert again == Created(cls, is_new=False)
