"""Where the faults of a roster's rows are."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from rules.commands.orders import RosterRegister, RosterRow
from rules.commands.rosters import registered
from rules.errors import ClassNotFoundError, EmailConflictError, ServiceError
from rules.limits import too_many_classes, too_many_students
from rules.models import NewStudent
from tests.unit.rules.strategies import CLASSES, person

A, B, *_ = CLASSES
FULL = too_many_students("class_ids")
TOO_MANY = too_many_classes("class_ids")


def pointers(class_ids: Sequence[UUID], *refusals: ServiceError) -> list[str]:
    """Return where a roster of class A has faults; each of its rows is refused."""
    rows = [
        RosterRow(index, NewStudent(UUID(int=index), person("Åsa"), None, tuple(class_ids)))
        for index, _ in enumerate(refusals, start=3)
    ]
    return [fault.pointer for fault in registered(RosterRegister(A, tuple(rows)), refusals).errors]


@pytest.mark.parametrize(
    ("class_ids", "refusals", "expected"),
    [
        ([A], [FULL], ["/class_id"]),
        ([A], [FULL, FULL], ["/class_id"]),
        ([A, B], [FULL, FULL], ["/students/3/class_ids", "/students/4/class_ids"]),
        ([A], [ClassNotFoundError()], ["/class_id"]),
        ([A], [TOO_MANY, TOO_MANY], ["/students/3", "/students/4"]),
        ([A, B], [TOO_MANY], ["/students/3/class_ids"]),
        ([A], [EmailConflictError(), FULL], ["/class_id", "/students/3/email"]),
    ],
)
def test_a_fault_points_at_what_the_roster_has(
    class_ids: list[UUID], refusals: list[ServiceError], expected: list[str]
) -> None:
    assert pointers(class_ids, *refusals) == expected
