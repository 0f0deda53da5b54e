"""How an import that was applied is taken back."""

from dataclasses import replace
from uuid import UUID

import pytest

from rules.imports.files import FileClass, FileContents, FilePerson, FileRow, Format
from rules.imports.planning import make_plan
from rules.imports.plans import (
    ClassState,
    Mode,
    Plan,
    PlanOptions,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.imports.undoing import make_undo
from rules.imports.values import values_of
from rules.models import PersonName
from tests.support.roster_states import applied, apply, state_of

A, B = UUID(int=0xA), UUID(int=0xB)
ONE, TWO = UUID(int=1), UUID(int=2)


def named(text: str) -> PersonName:
    first, _, last = text.partition(" ")
    return PersonName(first, last, text)


def student(student_id: UUID, name: str, email: str | None, ext: str | None) -> StudentState:
    return StudentState(student_id, named(name), email, ext, 1, frozenset({A}))


def school(*students: StudentState) -> RosterState:
    classes = [
        ClassState(one, name, "SV1", name, 1, frozenset()) for one, name in ((A, "9A"), (B, "9B"))
    ]
    return state_of(classes, students)


def imported(
    state: RosterState, *lines: tuple[str | None, str | None, str, str], mode: Mode = Mode.ADD
) -> tuple[Plan, RosterState]:
    """Import lines of name, address, external id and class; return the plan and what it left."""
    rows = tuple(
        FileRow(n, FilePerson(ext, named(name) if name else None, email), cls)
        for n, (name, email, ext, cls) in enumerate(lines, 2)
    )
    classes = tuple(FileClass(name, 2, name, name, "SV1") for name in sorted({r[3] for r in lines}))
    plan = make_plan(FileContents(Format.CSV, classes, rows), state, PlanOptions(mode))
    assert not plan.summary.errors
    return plan, apply(plan, state)


def put(state: RosterState, changed: StudentState) -> RosterState:
    students = {**state.students, changed.id: changed}
    return state_of(state.classes.values(), students.values())


def notices(plan: Plan) -> list[str]:
    return [notice.code.value for row in plan.rows for notice in row.notices]


ANNA = student(ONE, "Anna Ek", "anna@x.se", "1")
BO = student(TWO, "Bo Lind", "bo@x.se", "2")


def test_what_an_import_did_is_taken_back() -> None:
    before = school(ANNA, BO)
    plan, after = imported(
        before, ("Anna Berg", "new@x.se", "1", "9A"), ("Eva Ny", None, "3", "9A"), mode=Mode.SYNC
    )
    assert [row.kind.value for row in plan.rows] == ["updated", "created", "left"]
    undo = make_undo(plan.rows, after)
    assert [row.kind.value for row in undo.rows] == ["updated", "deleted", "joined"]
    back = apply(undo, after, is_undo=True)
    assert back.students.keys() == {ONE, TWO}
    assert values_of(back.students[ONE]) == values_of(ANNA)
    assert back.students[TWO].class_ids == {A}
    assert notices(undo) == []


def test_what_was_changed_since_stays_and_is_told() -> None:
    plan, after = imported(school(ANNA), ("Anna Berg", "new@x.se", "1", "9A"))
    since = put(after, replace(after.students[ONE], email="own@x.se"))
    undo = make_undo(plan.rows, since)
    assert (undo.rows[0].after, notices(undo)) == (
        {"last_name": "Ek", "full_name": "Anna Ek"},
        ["not_taken"],
    )


@pytest.mark.parametrize(
    "change",
    [{"decided": True}, {"class_ids": frozenset({A, B})}],
    ids=["an essay is decided", "another class"],
)
def test_a_student_that_is_wanted_is_taken_out_and_not_deleted(change: dict[str, object]) -> None:
    plan, after = imported(school(), ("Eva Ny", None, "3", "9A"))
    [made] = after.students.values()
    since = put(after, replace(made, **change))  # type: ignore[arg-type]  # of two members
    undo = make_undo(plan.rows, since)
    assert [row.kind for row in undo.rows] == [RowKind.LEFT]
    assert notices(undo) == ["not_taken"]
    assert made.id in apply(undo, since, is_undo=True).students


def test_a_student_of_several_classes_is_deleted_in_the_last_of_them() -> None:
    plan, after = imported(school(), ("Eva Ny", None, "3", "9B"), ("Eva Ny", None, "3", "9A"))
    undo = make_undo(plan.rows, after)
    assert [row.kind.value for row in undo.rows] == ["left", "deleted"]
    assert apply(undo, after, is_undo=True).students == {}


def test_who_was_moved_or_deleted_since_is_told() -> None:
    plan, after = imported(school(BO), ("Eva Ny", None, "3", "9A"), mode=Mode.SYNC)
    gone = state_of(after.classes.values(), [])
    undo = make_undo(plan.rows, gone)
    assert [row.kind for row in undo.rows] == [RowKind.UNCHANGED, RowKind.UNCHANGED]
    assert notices(undo) == ["not_taken", "not_taken"]
    assert apply(undo, gone, is_undo=True).students == {}


def test_rows_of_a_class_that_is_gone_are_told() -> None:
    plan, after = imported(
        school(ANNA), ("Anna Berg", None, "1", "9A"), ("Anna Berg", None, "1", "9B")
    )
    gone = state_of([after.classes[A]], [replace(after.students[ONE], class_ids=frozenset({A}))])
    undo = make_undo(plan.rows, gone)
    assert [row.kind for row in undo.rows] == [RowKind.UPDATED, RowKind.UNCHANGED]
    assert {part.class_id for part in undo.classes} == {A, None}


def test_addresses_that_changed_places_change_back() -> None:
    before = school(ANNA, BO)
    plan, after = imported(
        before, ("Anna Ek", "bo@x.se", "1", "9A"), ("Bo Lind", "anna@x.se", "2", "9A")
    )
    back = apply(make_undo(plan.rows, after), after, is_undo=True)
    assert {one.id: one.email for one in back.students.values()} == {
        ONE: "anna@x.se",
        TWO: "bo@x.se",
    }


def test_an_address_that_a_new_student_got_goes_back_when_that_is_deleted() -> None:
    before = school(ANNA)
    plan, after = imported(
        before, ("Anna Ek", "other@x.se", "1", "9B"), ("Eva Ny", "anna@x.se", "3", "9A")
    )
    undo = make_undo(plan.rows, after)
    back = apply(undo, after, is_undo=True)
    assert back.students.keys() == {ONE}
    assert back.students[ONE].email == "anna@x.se"


def test_an_address_that_another_student_has_by_now_is_not_taken_back() -> None:
    plan, after = imported(school(ANNA), ("Anna Ek", "other@x.se", "1", "9A"))
    since = put(after, student(TWO, "Bo Lind", "anna@x.se", None))
    undo = make_undo(plan.rows, since)
    assert [row.kind for row in undo.rows] == [RowKind.UNCHANGED]
    assert notices(undo) == ["not_taken"]


def test_a_class_that_was_made_stays_and_one_that_was_changed_changes_back() -> None:
    before = state_of([ClassState(B, "9B", "SV1", None, 1, frozenset())], [])
    plan, after = imported(before, ("Eva Ny", None, "3", "9A"), ("Ida Ny", None, "4", "9B"))
    undo = make_undo(plan.rows, after)
    classes = {
        row.class_id: (row.kind, row.after) for row in undo.rows if row.entity is RowEntity.CLASS
    }
    assert classes.pop(B) == (RowKind.UPDATED, {"external_id": None})
    assert [kind for kind, _ in classes.values()] == [RowKind.UNCHANGED]
    back = apply(undo, after, is_undo=True)
    assert len(back.classes) == 2
    assert back.classes[B].external_id is None


def test_who_comes_back_by_an_undo_has_by_hand_what_it_had_by_hand() -> None:
    eva, ida = ("Eva Ny", "eva@x.se", "3", "9B"), ("Ida Ny", None, "4", "9B")
    _, first = imported(school(), eva, ida)
    one = next(one for one in first.students.values() if one.external_id == "3")
    left, after = imported(put(first, replace(one, email="own@x.se")), ida, mode=Mode.SYNC)
    assert after.students[one.id].class_ids == frozenset()
    back = apply(make_undo(left.rows, after), after, is_undo=True)
    again, _ = imported(back, eva, ida)
    assert notices(again) == ["kept_by_hand"]


def test_who_was_put_in_by_hand_since_stays_also_after_an_undo() -> None:
    plan, after = imported(school(ANNA, BO), ("Anna Ek", None, "1", "9A"), mode=Mode.SYNC)
    since = put(after, replace(after.students[TWO], class_ids=frozenset({A})))
    back = apply(make_undo(plan.rows, since), since, is_undo=True)
    again, left = imported(back, ("Anna Ek", None, "1", "9A"), mode=Mode.SYNC)
    assert notices(again) == ["kept_by_hand"]
    assert left.students[TWO].class_ids == {A}


def test_a_class_renamed_by_hand_is_so_also_after_an_undo() -> None:
    before = state_of([ClassState(B, "9B", "SV1", None, 1, frozenset())], [])
    line = ("Ida Ny", None, "4", "9B")
    plan, after = imported(before, line)
    since = state_of([replace(after.classes[B], name="9B by hand")], after.students.values())
    back = apply(make_undo(plan.rows, since), since, is_undo=True)
    again, _ = imported(back, line)
    assert notices(again) == ["kept_by_hand"]


def test_an_undo_can_be_taken_back() -> None:
    before = school(ANNA, BO)
    plan, after = imported(
        before,
        ("Anna Berg", None, "1", "9A"),
        ("Eva Ny", "eva@x.se", "3", "9A"),
        ("Eva Ny", "eva@x.se", "3", "9B"),
        mode=Mode.SYNC,
    )
    back, undone = applied(make_undo(plan.rows, after), after, is_undo=True)
    again = apply(make_undo(undone, back), back, is_undo=True)
    known = {one.name.legal_full_name: one for one in again.students.values()}
    assert known.keys() == {"Anna Berg", "Bo Lind", "Eva Ny"}
    assert known["Eva Ny"].class_ids == {A, B}
    assert (known["Eva Ny"].email, known["Eva Ny"].external_id) == ("eva@x.se", "3")
    assert known["Bo Lind"].class_ids == frozenset()


@pytest.mark.parametrize(("size", "large"), [(9, False), (10, True)])
def test_taking_everybody_out_again_is_large_from_ten_on(size: int, *, large: bool) -> None:
    names = [(f"Eva{number} Ny", None, f"new-{number}", "9A") for number in range(size)]
    plan, after = imported(school(), *names)
    assert [part.is_large for part in make_undo(plan.rows, after).classes] == [large]


def test_nothing_is_undone_of_nothing() -> None:
    plan, after = imported(school(ANNA), ("Anna Ek", None, "1", "9A"))
    assert make_undo(plan.rows, after).rows == ()
