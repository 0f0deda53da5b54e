"""An export that is imported again changes nothing."""

from hypothesis import given
from hypothesis import strategies as st

from rules.imports.files import FileContents
from rules.imports.planning import make_plan
from rules.imports.plans import ClassState, Mode, PlanOptions, RosterState, RowKind, StudentState
from rules.imports.writing import ExportClass, csv_classes, csv_roster, oneroster
from tests.unit.rules.imports.test_round_trip import DAY, exports, read_csv, read_zip


def state_of(classes: list[ExportClass]) -> RosterState:
    """Return what an owner has who has these classes."""
    students = {student.id: student for one in classes for student in one.students}
    members = {one.record.id: {student.id for student in one.students} for one in classes}
    return RosterState(
        {
            one.record.id: ClassState(
                one.record.id,
                one.record.name,
                one.record.course_code,
                one.record.external_id,
                1,
                frozenset(members[one.record.id]),
            )
            for one in classes
        },
        {
            student.id: StudentState(
                student.id,
                student.name,
                student.email,
                student.external_id,
                1,
                frozenset(one for one, ids in members.items() if student.id in ids),
            )
            for student in students.values()
        },
    )


def check_unchanged(contents: FileContents, state: RosterState, options: PlanOptions) -> None:
    plan = make_plan(contents, state, options)
    assert [row for row in plan.rows if row.kind is not RowKind.UNCHANGED] == []
    assert not any(part.is_new or part.is_large or part.has_errors for part in plan.classes)


@given(exports(), st.sampled_from(Mode), st.booleans())
def test_an_export_of_all_classes_changes_nothing(
    classes: list[ExportClass],
    mode: Mode,
    overwrite: bool,  # noqa: FBT001  # hypothesis's
) -> None:
    options = PlanOptions(mode, overwrite=overwrite)
    for contents in (read_csv(csv_classes(classes)), read_zip(oneroster(classes, DAY))):
        check_unchanged(contents, state_of(classes), options)


@given(exports(), st.sampled_from(Mode))
def test_a_roster_changes_nothing_in_its_class(classes: list[ExportClass], mode: Mode) -> None:
    for one in classes:
        contents = read_csv(csv_roster(one), for_class=True)
        check_unchanged(contents, state_of(classes), PlanOptions(mode, one.record.id))
