"""What a file would change: who is meant, what changes, who comes and who goes."""

from dataclasses import replace
from uuid import UUID

import pytest

from rules.errors import ClassNotFoundError, ValidationFailedError
from rules.imports.files import (
    CellError,
    FileClass,
    FileContents,
    FilePerson,
    FileRow,
    Format,
    LineError,
    NamedBy,
    Wish,
)
from rules.imports.planning import make_plan
from rules.imports.plans import (
    ClassState,
    Marked,
    MarkedClass,
    Mode,
    Plan,
    PlannedRow,
    PlanOptions,
    RosterState,
    RowEntity,
    RowKind,
    StudentState,
)
from rules.limits import MAX_CLASSES, MAX_STUDENTS
from rules.models import PersonName
from tests.support.roster_states import applied, apply, state_of

A, B, NEW = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
ONE, TWO, THREE, FOUR = (UUID(int=n) for n in range(1, 5))


def named(text: str) -> PersonName:
    first, _, last = text.partition(" ")
    return PersonName(first, last, text)


def student(
    student_id: UUID, name: str, email: str | None = None, ext: str | None = None, *classes: UUID
) -> StudentState:
    return StudentState(student_id, named(name), email, ext, 1, frozenset(classes or {A}))


def marked(one: StudentState) -> StudentState:
    """Return a student as an import left it."""
    return replace(one, mark=Marked(one.name, one.email, one.external_id))


def school(*students: StudentState, marked: frozenset[UUID] | None = None) -> RosterState:
    return state_of(
        [
            ClassState(A, "9A", "SV1", "a", 1, frozenset(), marked),
            ClassState(B, "9B", "SV1", None, 1, frozenset()),
        ],
        students,
    )


def row(
    line: int,
    name: str | None = None,
    email: str | None = None,
    ext: str | None = None,
    cls: str | None = None,
    wish: Wish = Wish.KEEP,
) -> FileRow:
    person = FilePerson(ext, named(name) if name else None, email)
    return FileRow(line, person, cls, wish)


def file(*rows: FileRow, classes: tuple[FileClass, ...] = (), delta: bool = False) -> FileContents:
    form = Format.ONEROSTER if delta else Format.CSV
    return FileContents(form, classes, rows, is_delta=delta)


INTO_A = PlanOptions(class_id=A)
SYNC_A = PlanOptions(Mode.SYNC, class_id=A)


def kinds(plan: Plan) -> list[tuple[int | None, str]]:
    return [(one.line, one.kind.value) for one in plan.rows]


def codes(one: PlannedRow) -> list[str]:
    return [notice.code.value for notice in one.notices]


def only(plan: Plan) -> PlannedRow:
    [one] = plan.rows
    return one


# --- who is meant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "who", "after"),
    [
        (row(2, "Anna Ek", "new@x.se", "1"), ONE, {"email": "new@x.se"}),
        (row(2, "Anna Ek", None, str(ONE)), ONE, None),
        (row(2, "Anna Berg", "ANNA@x.se"), ONE, {"last_name": "Berg"}),
        (row(2, "Anna Ek"), ONE, None),
        (row(2, "Bo Lind", "bo@x.se", "2"), TWO, {"email": "bo@x.se", "external_id": "2"}),
        (row(2, None, "anna@x.se"), ONE, None),
        (row(2, None, None, "1"), ONE, None),
    ],
)
def test_a_line_means_a_student_by_id_then_address_then_name(
    line: FileRow, who: UUID, after: dict[str, str] | None
) -> None:
    state = school(student(ONE, "Anna Ek", "anna@x.se", "1"), student(TWO, "Bo Lind"))
    one = only(make_plan(file(line), state, INTO_A))
    assert one.student_id == who
    assert one.kind is (RowKind.UPDATED if after else RowKind.UNCHANGED)
    assert {**(one.after or {}), **(after or {})} == (one.after or {})


def test_a_name_in_another_class_is_another_student_and_worth_a_look() -> None:
    state = school(student(ONE, "Anna Ek", None, None, B))
    one = only(make_plan(file(row(2, "Anna Ek")), state, INTO_A))
    assert (one.kind, codes(one)) == (RowKind.CREATED, ["near_duplicate"])
    assert one.notices[0].student_id == ONE


def test_a_name_that_two_members_share_matches_nobody() -> None:
    state = school(student(ONE, "Anna Ek"), student(TWO, "Anna Ek"))
    one = only(make_plan(file(row(2, "Anna Ek")), state, INTO_A))
    assert one.kind is RowKind.ERROR
    assert one.errors[0].column == "name"
    assert {notice.student_id for notice in one.notices} == {ONE, TWO}


def test_twins_are_told_apart_by_what_the_file_has_of_one() -> None:
    state = school(student(ONE, "Anna Ek", "a@x.se"), student(TWO, "Anna Ek"))
    plan = make_plan(file(row(2, "Anna Ek", "a@x.se"), row(3, "Anna Ek")), state, INTO_A)
    assert kinds(plan) == [(2, "unchanged"), (3, "unchanged")]
    assert [one.student_id for one in plan.rows] == [ONE, TWO]


def test_two_lines_of_one_name_may_not_both_be_one_member() -> None:
    lines = row(2, "Anna Ek", "a@x.se"), row(3, "Anna Ek", "b@x.se")
    plan = make_plan(file(*lines), school(student(ONE, "Anna Ek")), INTO_A)
    assert kinds(plan) == [(2, "error"), (3, "error")]


def test_another_external_id_is_another_student() -> None:
    state = school(student(ONE, "Anna Ek", None, "1"))
    one = only(make_plan(file(row(2, "Anna Ek", None, "2")), state, INTO_A))
    assert one.kind is RowKind.CREATED


def test_an_id_of_ours_does_not_become_the_external_one() -> None:
    state = school(student(ONE, "Anna Ek"))
    one = only(make_plan(file(row(2, "Anna Berg", None, str(ONE))), state, INTO_A))
    assert one.after == {"last_name": "Berg", "full_name": "Anna Berg"}


def test_ids_that_were_mixed_up_are_an_error() -> None:
    """By the ids alone each student would take the other's essays."""
    state = school(
        student(ONE, "Anna Berg", "anna@x.se", "1"), student(TWO, "Erik Lund", "erik@x.se", "2")
    )
    lines = row(2, "Anna Berg", "anna@x.se", "2"), row(3, "Erik Lund", "erik@x.se", "1")
    plan = make_plan(file(*lines), state, INTO_A)
    assert kinds(plan) == [(2, "error"), (3, "error")]
    assert {one.errors[0].column for one in plan.rows} == {"external_id"}


@pytest.mark.parametrize("ids", [("1", "2"), (None, None)])
def test_addresses_change_places(ids: tuple[str | None, str | None]) -> None:
    state = school(
        student(ONE, "Anna Berg", "anna@x.se", ids[0]),
        student(TWO, "Erik Lund", "erik@x.se", ids[1]),
    )
    lines = row(2, "Anna Berg", "erik@x.se", ids[0]), row(3, "Erik Lund", "anna@x.se", ids[1])
    plan = make_plan(file(*lines), state, INTO_A)
    assert kinds(plan) == [(2, "updated"), (3, "updated")]
    after = apply(plan, state).students
    assert (after[ONE].email, after[TWO].email) == ("erik@x.se", "anna@x.se")
    assert (after[ONE].name, after[TWO].name) == (named("Anna Berg"), named("Erik Lund"))


def test_an_address_of_one_and_the_name_of_another_is_an_error() -> None:
    state = school(student(ONE, "Anna Berg", "anna@x.se"), student(TWO, "Erik Lund"))
    one = only(make_plan(file(row(2, "Erik Lund", "anna@x.se")), state, INTO_A))
    assert (one.kind, one.errors[0].column) == (RowKind.ERROR, "email")


def test_an_address_moves_to_a_new_student_if_its_own_changes() -> None:
    state = school(student(ONE, "Anna Berg", "anna@x.se", "1"))
    lines = row(2, "Anna Ek", "anna@x.se", "2"), row(3, "Anna Berg", "a.berg@x.se", "1")
    plan = make_plan(file(*lines), state, INTO_A)
    assert kinds(plan) == [(2, "created"), (3, "updated")]


def test_an_address_that_another_student_keeps_is_an_error_which_says_who() -> None:
    state = school(student(ONE, "Anna Berg", "anna@x.se", "1", B))
    one = only(make_plan(file(row(2, "Anna Ek", "anna@x.se", "2")), state, INTO_A))
    assert (one.kind, one.errors[0].column) == (RowKind.ERROR, "email")
    assert one.notices[0].student_id == ONE


def test_who_is_refused_an_address_gives_up_none() -> None:
    people = [student(UUID(int=n), f"Name{n} Ek", f"a{n}@x.se", str(n)) for n in range(1, 6)]
    lines = [row(n, f"Name{n} Ek", f"a{n + 1}@x.se", str(n)) for n in range(1, 5)]
    plan = make_plan(file(*lines), school(*people), INTO_A)
    assert {kind for _, kind in kinds(plan)} == {"error"}


def test_what_passes_between_classes_is_changed_in_one_part() -> None:
    state = school(
        student(ONE, "Anna Berg", "anna@x.se", "1", A),
        student(TWO, "Erik Lund", "erik@x.se", "2", B),
    )
    lines = (
        row(2, "Anna Berg", "erik@x.se", "1", "a"),
        row(3, "Erik Lund", "anna@x.se", "2", "9B"),
    )
    classes = FileClass("a", 2, "9A", "a"), FileClass("9B", 3, "9B")
    plan = make_plan(file(*lines, classes=classes), state, PlanOptions())
    assert {one.class_id for one in plan.rows if one.kind is RowKind.UPDATED} == {A}
    assert apply(plan, state).students[TWO].email == "anna@x.se"


# --- one student on several lines --------------------------------------------------------------


def test_a_student_of_two_classes_is_created_once() -> None:
    classes = FileClass("a", 2, "9A", "a"), FileClass("9B", 3, "9B")
    lines = row(2, "Eva Ny", None, "7", "9B"), row(3, "Eva Ny", "eva@x.se", "7", "a")
    state = school()
    plan = make_plan(file(*lines, classes=classes), state, PlanOptions())
    assert kinds(plan) == [(2, "created"), (3, "joined")]
    [made] = apply(plan, state).students.values()
    assert (made.class_ids, made.email) == (frozenset({A, B}), "eva@x.se")


@pytest.mark.parametrize(
    ("second", "column"),
    [
        (row(3, "Eva Annan", None, "7"), "name"),
        (row(3, "Eva Ny", "other@x.se", "7"), "email"),
        (row(3, "Eva Ny", "eva@x.se", "8"), "email"),
        (row(3, "Ida Ny", "eva@x.se"), "email"),
    ],
)
def test_the_second_line_that_says_otherwise_is_an_error(second: FileRow, column: str) -> None:
    plan = make_plan(file(row(2, "Eva Ny", "eva@x.se", "7"), second), school(), INTO_A)
    assert kinds(plan) == [(2, "created"), (3, "error")]
    assert plan.rows[1].errors[0].column == column
    assert "ine 2" in plan.rows[1].errors[0].detail


def test_a_line_said_twice_counts_once() -> None:
    plan = make_plan(
        file(row(2, "Eva Ny", None, "7"), row(3, "Eva Ny", None, "7")), school(), INTO_A
    )
    assert kinds(plan) == [(2, "created"), (3, "unchanged")]


def test_the_same_name_twice_with_nothing_else_is_an_error() -> None:
    plan = make_plan(file(row(2, "Eva Ny"), row(3, "Eva Ny")), school(), INTO_A)
    assert kinds(plan) == [(2, "created"), (3, "error")]


# --- values ------------------------------------------------------------------------------------


def test_empty_cells_clear_nothing() -> None:
    state = school(student(ONE, "Anna Ek", "anna@x.se", "1"))
    assert only(make_plan(file(row(2, "Anna Ek")), state, INTO_A)).kind is RowKind.UNCHANGED


def test_a_legal_name_that_is_not_said_stays() -> None:
    legal = replace(student(ONE, "Anna Ek", None, "1"), name=PersonName("Anna", "Ek", "Anna M Ek"))
    assert only(make_plan(file(row(2, "Anna Ek", None, "1")), school(legal), INTO_A)).kind == (
        "unchanged"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (PersonName("Anna Maria", "Ek", "Anna Maria Ek"), "unchanged"),
        (PersonName("Anna", "Berg", "Anna Berg"), "updated"),
    ],
)
def test_a_full_name_does_not_move_where_the_first_name_ends(name: PersonName, kind: str) -> None:
    known = replace(
        student(ONE, "x", None, "1"), name=PersonName("Anna", "Maria Ek", "Anna Maria Ek")
    )
    line = FileRow(2, FilePerson("1", name, None, NamedBy.FULL))
    one = only(make_plan(file(line), school(known), INTO_A))
    assert one.kind == kind
    assert ("name_split" in codes(one)) is (kind == "updated")


def test_a_new_student_needs_a_name() -> None:
    one = only(make_plan(file(row(2, None, "eva@x.se")), school(), INTO_A))
    assert (one.kind, one.errors[0].column) == (RowKind.ERROR, "name")


# --- what was changed by hand ------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_was_changed_by_hand_is_overwritten_only_if_wanted(*, overwrite: bool) -> None:
    left = marked(student(ONE, "Anna Ek", "anna@x.se", "1"))
    by_hand = replace(left, email="own@x.se", name=named("Anna Berg"))
    options = replace(INTO_A, overwrite=overwrite)
    one = only(make_plan(file(row(2, "Anna Ek", "anna@x.se", "1")), school(by_hand), options))
    assert one.kind is (RowKind.UPDATED if overwrite else RowKind.UNCHANGED)
    assert codes(one) == ([] if overwrite else ["kept_by_hand", "kept_by_hand"])


def test_other_members_than_those_changed_by_hand_are_taken() -> None:
    by_hand = replace(marked(student(ONE, "Anna Ek", "anna@x.se", "1")), email="own@x.se")
    one = only(make_plan(file(row(2, "Anna Berg", "anna@x.se", "1")), school(by_hand), INTO_A))
    assert one.after == {"last_name": "Berg", "full_name": "Anna Berg"}


def test_what_the_file_says_too_is_no_longer_by_hand() -> None:
    by_hand = replace(marked(student(ONE, "Anna Ek", "anna@x.se", "1")), email="own@x.se")
    state = school(by_hand)
    plan = make_plan(file(row(2, "Anna Ek", "own@x.se", "1")), state, INTO_A)
    assert codes(only(plan)) == []
    later = make_plan(file(row(2, "Anna Ek", "newer@x.se", "1")), apply(plan, state), INTO_A)
    assert only(later).after == {"email": "newer@x.se"}


def test_a_file_that_does_not_say_it_leaves_it_changed_by_hand() -> None:
    by_hand = replace(marked(student(ONE, "Anna Ek", "anna@x.se", "1")), email="own@x.se")
    state = school(by_hand)
    state = apply(make_plan(file(row(2, "Anna Ek", None, "1")), state, INTO_A), state)
    later = only(make_plan(file(row(2, "Anna Ek", "anna@x.se", "1")), state, INTO_A))
    assert (later.kind, codes(later)) == (RowKind.UNCHANGED, ["kept_by_hand"])


@pytest.mark.parametrize(
    "line",
    [row(2, "Anna Ek", None, "1"), row(2, "Anna Ek", "anna@x.se"), row(2, "Anna Ek")],
)
def test_who_was_changed_by_hand_is_found_by_what_the_last_import_left(line: FileRow) -> None:
    left = marked(student(ONE, "Anna Ek", "anna@x.se", "1"))
    by_hand = replace(left, name=named("Ann Eek"), email=None, external_id=None)
    one = only(make_plan(file(line), school(by_hand, marked=frozenset({ONE})), INTO_A))
    assert (one.kind, one.student_id) == (RowKind.UNCHANGED, ONE)


@pytest.mark.parametrize("line", [row(2, "Anna Ek", None, "1"), row(2, "Anna Ek")])
@pytest.mark.parametrize("overwrite", [False, True])
def test_who_was_taken_out_by_hand_stays_out(line: FileRow, *, overwrite: bool) -> None:
    out = marked(student(ONE, "Anna Ek", None, "1", B))
    state = school(out, marked=frozenset({ONE}))
    one = only(make_plan(file(line), state, replace(INTO_A, overwrite=overwrite)))
    assert one.kind is (RowKind.JOINED if overwrite else RowKind.UNCHANGED)
    assert one.student_id == ONE


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        (
            replace(marked(student(ONE, "Anna Ek", None, "1")), external_id="2"),
            (row(2, "Bo Ny", None, "1"), row(3, "Anna Ek", None, "2")),
        ),
        (
            replace(marked(student(ONE, "Anna Ek", "old@x.se")), email="new@x.se"),
            (row(2, "Bo Ny", "old@x.se"), row(3, "Anna Ek", "new@x.se")),
        ),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_who_is_known_by_what_it_has_is_nobody_who_has_what_it_had(
    now: StudentState, lines: tuple[FileRow, FileRow], *, overwrite: bool
) -> None:
    options = PlanOptions(class_id=A, overwrite=overwrite)
    plan = make_plan(file(*lines), school(now), options)
    assert kinds(plan) == [(2, "created"), (3, "unchanged")]
    assert plan.rows[1].student_id == ONE
    apply(plan, school(now))


def test_what_is_changed_by_hand_before_a_plan_is_applied_is_changed_by_hand() -> None:
    classes = FileClass("a", 2, "9A", "a"), FileClass("9B", 3, "9B")
    lines = [row(n, "Anna Ek", "new@x.se", "1", cls) for n, cls in ((2, "a"), (3, "9B"))]
    imported = file(*lines, classes=classes)
    one = marked(student(ONE, "Anna Ek", "old@x.se", "1"))
    plan = make_plan(imported, school(one), PlanOptions())
    late, done = applied(plan, school(replace(one, email="own@x.se")), is_late=True)
    assert [(one.kind, one.class_id) for one in done] == [(RowKind.JOINED, B)]
    assert late.students[ONE].class_ids == {A, B}
    assert apply(make_plan(imported, late, PlanOptions()), late).students[ONE].email == "own@x.se"


def test_a_class_renamed_by_hand_keeps_its_name() -> None:
    cls = ClassState(A, "9A svenska", "SV1", "a", 1, frozenset(), None, MarkedClass("9A", "a"))
    lines = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "9A"),))
    plan = make_plan(lines, state_of([cls], []), PlanOptions())
    assert [(one.entity, one.kind) for one in plan.rows] == [
        (RowEntity.CLASS, RowKind.UNCHANGED),
        (RowEntity.STUDENT, RowKind.CREATED),
    ]
    assert plan.classes[0].class_id == A


def test_a_file_that_does_not_say_a_class_s_id_leaves_it_cleared_by_hand() -> None:
    cls = ClassState(A, "9A", "SV1", None, 1, frozenset(), frozenset(), MarkedClass("9A", "a"))
    silent = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "9A"),))
    later = apply(make_plan(silent, state_of([cls], []), PlanOptions()), state_of([cls], []))
    assert later.classes[A].mark == MarkedClass("9A", "a")


def test_a_class_renamed_by_hand_and_in_the_file_is_as_the_file_has_it() -> None:
    cls = ClassState(A, "8A", "SV1", "a", 1, frozenset(), frozenset(), MarkedClass("7A", "a"))
    agreeing = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "8A", "a"),))
    plan = make_plan(agreeing, state_of([cls], []), PlanOptions())
    assert [codes(one) for one in plan.rows] == [["said_too"], []]
    later = apply(plan, state_of([cls], []))
    assert later.classes[A].mark == MarkedClass("8A", "a")
    renaming = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "9A", "a"),))
    assert make_plan(renaming, later, PlanOptions()).rows[0].after == {"name": "9A"}


# --- who is missing ----------------------------------------------------------------------------


def test_who_is_missing_leaves_only_in_sync() -> None:
    state = school(student(ONE, "Anna Ek"), student(TWO, "Bo Lind"))
    assert kinds(make_plan(file(row(2, "Anna Ek")), state, INTO_A)) == [(2, "unchanged")]
    plan = make_plan(file(row(2, "Anna Ek")), state, SYNC_A)
    assert kinds(plan) == [(2, "unchanged"), (None, "left")]
    assert plan.rows[1].student_id == TWO


@pytest.mark.parametrize(
    "broken",
    [
        file(row(2, "Anna Ek"), replace(row(3), errors=(CellError("email", "text", "No."),))),
        replace(file(row(2, "Anna Ek")), errors=(LineError(3, (CellError("", "text", "No."),)),)),
        file(row(2, "Anna Ek"), row(3, "Anna Ek")),
        file(row(2, "Anna Ek"), delta=True),
    ],
)
def test_nobody_leaves_who_may_have_been_on_a_line_that_is_not_understood(
    broken: FileContents,
) -> None:
    state = school(student(ONE, "Anna Ek"), student(TWO, "Bo Lind"))
    assert RowKind.LEFT not in {one.kind for one in make_plan(broken, state, SYNC_A).rows}


def test_nobody_leaves_a_class_that_the_file_does_not_name() -> None:
    state = school(student(ONE, "Anna Ek"), student(TWO, "Bo Lind", None, None, B))
    lines = file(row(2, "Anna Ek", cls="k"), classes=(FileClass("k", 2, "9A"),))
    assert kinds(make_plan(lines, state, PlanOptions(Mode.SYNC))) == [(2, "unchanged")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_who_was_put_in_by_hand_since_the_last_import_stays(*, overwrite: bool) -> None:
    state = school(student(ONE, "Anna Ek"), student(TWO, "Bo Lind"), marked=frozenset({ONE}))
    plan = make_plan(file(row(2, "Anna Ek")), state, replace(SYNC_A, overwrite=overwrite))
    assert plan.rows[1].kind is (RowKind.LEFT if overwrite else RowKind.UNCHANGED)
    again = make_plan(file(row(2, "Anna Ek")), apply(plan, state), SYNC_A)
    assert RowKind.LEFT not in {one.kind for one in again.rows}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("leaves", [False, True])
def test_who_is_changed_in_the_part_of_another_class_is_named_only_in_that_of_its_line(
    mode: Mode, *, leaves: bool
) -> None:
    people = (
        student(ONE, "Anna Ek", None, "1", A, B),
        student(TWO, "Bo Lind", "bo@x.se", "2", A),
    )
    nobody = frozenset[UUID]()
    state = state_of(
        [
            ClassState(A, "9A", "SV1", "a", 1, nobody, marked=frozenset({TWO})),
            ClassState(B, "9B", "SV1", None, 1, nobody, marked=nobody),
        ],
        people,
    )
    lines = [
        row(2, "Bo Lind", "new@x.se", "2", "a"),
        row(3, "Anna Ek", "bo@x.se", "1", "9B"),
    ]
    if leaves:
        lines.append(row(4, None, None, "1", "a", Wish.LEAVE))
    classes = FileClass("a", 2, "9A", "a"), FileClass("9B", 3, "9B")
    imported = file(*lines, classes=classes, delta=leaves)
    plan = make_plan(imported, state, PlanOptions(mode))
    assert {one.class_id for one in plan.rows if one.kind is RowKind.UPDATED} == {A}
    after = apply(plan, state)
    assert after.classes[A].marked == frozenset({TWO})
    assert after.classes[B].marked == frozenset({ONE})
    assert ONE in after.classes[A].member_ids
    again = make_plan(imported, after, PlanOptions(Mode.SYNC))
    assert {one.kind for one in again.rows} == {RowKind.UNCHANGED}


GONE_TOO = {
    "missing": (file(row(2, "Bo Ek", ext="2")), SYNC_A),
    "enrolment": (
        file(
            row(2, ext="1", cls="a", wish=Wish.LEAVE),
            classes=(FileClass("a", 1, "9A", "a"),),
            delta=True,
        ),
        PlanOptions(),
    ),
}


@pytest.mark.parametrize("gone", GONE_TOO)
def test_who_was_taken_out_by_hand_and_is_out_in_the_file_too_joins_with_a_later_one(
    gone: str,
) -> None:
    one = replace(marked(student(ONE, "Anna Ek", None, "1")), class_ids=frozenset({B}))
    state = school(one, student(TWO, "Bo Ek", None, "2"), marked=frozenset({ONE, TWO}))
    without, options = GONE_TOO[gone]
    left = apply(make_plan(without, state, options), state)
    again = make_plan(file(row(2, "Anna Ek", ext="1")), left, INTO_A)
    assert kinds(again) == [(2, "joined")]


def test_who_was_put_in_by_hand_and_is_in_the_file_too_leaves_with_a_later_one() -> None:
    one = replace(marked(student(ONE, "Anna Ek", None, "1")), name=named("Anna Berg"))
    state = school(one, student(TWO, "Bo Ek", None, "2"), marked=frozenset({TWO}))
    both = file(row(2, "Anna Ek", ext="1"), row(3, "Bo Ek", ext="2"))
    kept = apply(make_plan(both, state, SYNC_A), state)
    assert kept.students[ONE].name == named("Anna Berg")
    again = make_plan(file(row(2, "Bo Ek", ext="2")), kept, SYNC_A)
    assert kinds(again) == [(2, "unchanged"), (None, "left")]


def many(n: int) -> list[StudentState]:
    return [student(UUID(int=100 + i), f"Name{i} Ek", None, str(i)) for i in range(n)]


@pytest.mark.parametrize(
    ("size", "missing", "large"),
    [
        (10, 1, False),
        (10, 2, True),
        (20, 2, False),
        (20, 3, True),
        (9, 5, False),
        (9, 9, False),
        (1, 1, False),
        (0, 0, False),
    ],
)
def test_a_plan_that_takes_out_many_is_large(size: int, missing: int, *, large: bool) -> None:
    lines = [row(n, f"Name{n} Ek", None, str(n)) for n in range(missing, size)]
    plan = make_plan(file(*lines), school(*many(size)), SYNC_A)
    assert any(part.is_large for part in plan.classes) is large


@pytest.mark.parametrize(
    ("size", "changed", "large"), [(12, 9, False), (12, 10, True), (9, 9, False)]
)
def test_a_plan_that_changes_many_is_large(size: int, changed: int, *, large: bool) -> None:
    lines = [
        row(n, f"{'Other' if n < changed else 'Name'}{n} Ek", None, str(n)) for n in range(size)
    ]
    [part] = make_plan(file(*lines), school(*many(size)), INTO_A).classes
    assert (part.is_large, part.changed) == (large, changed)


# --- deltas ------------------------------------------------------------------------------------


def test_an_enrolment_that_is_deleted_takes_the_student_out() -> None:
    state = school(student(ONE, "Anna Ek", None, "1", A, B))
    lines = file(row(2, ext="1", cls="a", wish=Wish.LEAVE), classes=(FileClass("a", 2, None, "a"),))
    plan = make_plan(replace(lines, is_delta=True), state, PlanOptions())
    assert kinds(plan) == [(2, "left")]
    assert apply(plan, state).students[ONE].class_ids == {B}


def test_a_user_that_is_deleted_leaves_all_classes_and_is_not_deleted() -> None:
    state = school(student(ONE, "Anna Ek", None, "1", A, B))
    plan = make_plan(file(row(2, ext="1", wish=Wish.DELETE), delta=True), state, PlanOptions())
    assert kinds(plan) == [(2, "left"), (2, "left")]
    assert apply(plan, state).students[ONE].class_ids == frozenset()


def test_who_is_deleted_and_not_known_changes_nothing() -> None:
    lines = row(2, ext="9", wish=Wish.DELETE), row(3, ext="8", cls="a", wish=Wish.LEAVE)
    classes = (FileClass("a", 2, None, "a"),)
    plan = make_plan(file(*lines, classes=classes, delta=True), school(), PlanOptions())
    assert kinds(plan) == [(2, "unchanged"), (3, "unchanged")]


def test_a_user_who_may_be_a_teacher_is_updated_and_not_created() -> None:
    state = school(student(ONE, "Anna Ek", None, "1"))
    lines = (
        row(2, "Anna Berg", None, "1", wish=Wish.UPDATE),
        row(3, "Eva Ny", None, "7", wish=Wish.UPDATE),
    )
    plan = make_plan(file(*lines, delta=True), state, PlanOptions())
    assert kinds(plan) == [(2, "updated"), (3, "unchanged")]


def test_who_left_and_came_back_stays() -> None:
    state = school(student(ONE, "Anna Ek", None, "1"))
    lines = row(2, ext="1", cls="a", wish=Wish.LEAVE), row(3, ext="1", cls="a")
    classes = (FileClass("a", 2, None, "a"),)
    plan = make_plan(file(*lines, classes=classes, delta=True), state, PlanOptions())
    assert kinds(plan) == [(2, "unchanged"), (3, "unchanged")]


def test_the_students_of_a_class_that_is_deleted_leave_and_the_class_stays() -> None:
    state = school(student(ONE, "Anna Ek", None, "1"))
    classes = (FileClass("a", 2, "9A", "a", is_deleted=True),)
    plan = make_plan(file(classes=classes, delta=True), state, PlanOptions())
    assert [(one.entity, one.kind) for one in plan.rows] == [
        (RowEntity.CLASS, RowKind.UNCHANGED),
        (RowEntity.STUDENT, RowKind.LEFT),
    ]


@pytest.mark.parametrize("gone", ["a", "unknown"])
def test_who_is_also_in_a_class_that_is_deleted_is_created_and_changed_in_the_other(
    gone: str,
) -> None:
    state = school(student(ONE, "Anna Ek", None, "1"))
    lines = [row(2, "Eva Ny", None, "7", gone), row(3, "Eva Ny", None, "7", "9B")]
    lines += [row(4, "Anna Berg", None, "1", gone), row(5, "Anna Berg", None, "1", "9B")]
    lines += [row(6, "Ida Ny", None, "8", gone)]
    classes = (FileClass(gone, 2, None, gone, is_deleted=True), FileClass("9B", 3, "9B"))
    plan = make_plan(file(*lines, classes=classes, delta=True), state, PlanOptions())
    students = apply(plan, state).students.values()
    assert sorted((one.name.legal_full_name, *one.class_ids & {B}) for one in students) == [
        ("Anna Berg", B),
        ("Eva Ny", B),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [row(2, ext="1", cls="9B", wish=Wish.LEAVE)],
        [row(2, ext="1", cls="a", wish=Wish.LEAVE), row(3, ext="1", cls="a", wish=Wish.LEAVE)],
        [row(2, ext="1", cls="gone", wish=Wish.LEAVE), row(3, ext="1", wish=Wish.DELETE)],
        [row(2, "Anna Ek", "anna@x.se", "1", "gone")],
    ],
    ids=["of no member", "twice", "and deleted", "of a class that is deleted"],
)
def test_a_line_that_says_no_values_leaves_them_changed_by_hand(lines: list[FileRow]) -> None:
    by_hand = marked(student(ONE, "Anna Ek", "anna@x.se", "1"))
    state = school(replace(by_hand, email="own@x.se", name=named("Anna Berg")))
    classes = (
        FileClass("a", 2, None, "a"),
        FileClass("9B", 3, "9B"),
        FileClass("gone", 4, None, "gone", is_deleted=True),
    )
    delta = make_plan(file(*lines, classes=classes, delta=True), state, PlanOptions())
    state = apply(delta, state)
    assert state.students[ONE].mark == by_hand.mark
    later = only(
        make_plan(
            file(row(2, "Anna Ek", "anna@x.se", "1", "9B"), classes=(FileClass("9B", 3, "9B"),)),
            state,
            PlanOptions(),
        )
    )
    assert (later.kind, codes(later)) == (RowKind.JOINED, ["kept_by_hand", "kept_by_hand"])


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
def test_an_address_that_two_have_had_means_neither(order: tuple[UUID, UUID]) -> None:
    had = {
        ONE: marked(student(ONE, "Anna Ek", "anna@x.se", "1")),
        TWO: marked(student(TWO, "Anna Berg", "anna@x.se", "2", B)),
    }
    state = school(*(replace(had[one], email=None) for one in order))
    plan = make_plan(file(row(2, "Anna Ek", "anna@x.se")), state, INTO_A)
    assert [one.student_id for one in plan.rows] == [ONE]


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_an_id_that_two_classes_have_had_means_neither(order: tuple[UUID, UUID]) -> None:
    had = {
        one: ClassState(one, name, "SV1", None, 1, frozenset(), mark=MarkedClass(name, "x"))
        for one, name in ((A, "9A"), (B, "9B"))
    }
    state = state_of([had[one] for one in order], [])
    classes = (FileClass("k", 2, "9B", "x"),)
    plan = make_plan(file(row(2, "Eva Ny", cls="k"), classes=classes), state, PlanOptions())
    assert {one.class_id for one in plan.rows} == {B}


def test_a_student_of_no_class_is_created_in_none() -> None:
    plan = make_plan(file(row(2, "Eva Ny", None, "7"), delta=True), school(), PlanOptions())
    assert [part.class_id for part in plan.classes] == [None]
    [made] = apply(plan, school()).students.values()
    assert made.class_ids == frozenset()


# --- classes -----------------------------------------------------------------------------------


def test_a_new_class_is_made_with_its_students() -> None:
    classes = (FileClass("k", 2, "7C", "c", "ENG5"),)
    plan = make_plan(file(row(2, "Eva Ny", cls="k"), classes=classes), school(), PlanOptions())
    [cls, one] = plan.rows
    assert cls.after == {"name": "7C", "course_code": "ENG5", "external_id": "c"}
    assert one.class_id == cls.class_id
    assert plan.classes[0].is_new
    assert len(apply(plan, school()).classes) == 3


@pytest.mark.parametrize(
    ("cls", "options", "column"),
    [
        (FileClass("k", 2, "7C"), PlanOptions(), "course"),
        (FileClass("k", 2, "7C", course_code="X"), PlanOptions(), "course"),
        (FileClass("k", 2, None, "c"), PlanOptions(), "class"),
        (FileClass("k", 2, "9A", "a", "ENG5"), PlanOptions(), "course"),
    ],
)
def test_a_class_that_cannot_be_imported_is_an_error(
    cls: FileClass, options: PlanOptions, column: str
) -> None:
    plan = make_plan(file(row(2, "Eva Ny", cls="k"), classes=(cls,)), school(), options)
    assert plan.rows[0].errors[0].column == column
    assert all(part.has_errors for part in plan.classes)


@pytest.mark.parametrize("options", [PlanOptions(), PlanOptions(course_code="SV3")])
def test_an_unknown_course_of_a_new_class_is_named_and_not_replaced(options: PlanOptions) -> None:
    classes = (FileClass("k", 2, "7C", has_unknown_course=True),)
    plan = make_plan(file(row(2, "Eva Ny", cls="k"), classes=classes), school(), options)
    [error] = plan.rows[0].errors
    assert (error.column, error.value_kind) == ("course", "text")
    assert error.detail.startswith("Unknown course code")


def test_a_class_of_the_same_name_in_another_course_is_another_one_and_worth_a_look() -> None:
    lines = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "9A", None, "ENG5"),))
    plan = make_plan(lines, school(), PlanOptions())
    assert (plan.rows[0].kind, codes(plan.rows[0])) == (RowKind.CREATED, ["near_duplicate"])


def test_a_course_of_the_request_is_that_of_new_classes() -> None:
    lines = file(row(2, "Eva Ny", cls="k"), classes=(FileClass("k", 2, "7C"),))
    plan = make_plan(lines, school(), PlanOptions(course_code="SV3"))
    assert (plan.rows[0].after or {})["course_code"] == "SV3"


@pytest.mark.parametrize(
    ("cls", "found", "after"),
    [
        (FileClass("k", 2, "9A ny", "a"), A, {"name": "9A ny"}),
        (FileClass("k", 2, "9B", "b"), B, {"external_id": "b"}),
        (FileClass("k", 2, "9B", str(B)), B, None),
        (FileClass("k", 2, "9A"), A, None),
    ],
)
def test_a_class_is_found_by_id_then_name(
    cls: FileClass, found: UUID, after: dict[str, str] | None
) -> None:
    plan = make_plan(file(row(2, "Eva Ny", cls="k"), classes=(cls,)), school(), PlanOptions())
    assert plan.classes[0].class_id == found
    rows = [one for one in plan.rows if one.entity is RowEntity.CLASS]
    assert [one.after for one in rows] == ([after] if after else [])


def test_a_class_name_that_two_classes_have_is_an_error_without_a_course() -> None:
    classes = [
        ClassState(one, "9A", code, None, 1, frozenset()) for one, code in ((A, "SV1"), (B, "ENG5"))
    ]
    state = state_of(classes, [])

    def plan(course: str | None) -> Plan:
        named = (FileClass("k", 2, "9A", None, course),)
        return make_plan(file(row(2, "Eva Ny", cls="k"), classes=named), state, PlanOptions())

    assert {kind for _, kind in kinds(plan(None))} == {"error"}
    assert plan("ENG5").classes[0].class_id == B


def imported(class_id: UUID, name: str, external_id: str | None, before: MarkedClass) -> ClassState:
    """Return a class that was changed by hand since an import had left it otherwise."""
    return ClassState(class_id, name, "SV1", external_id, 2, frozenset(), frozenset(), before)


@pytest.mark.parametrize(
    ("cls", "classes"),
    [
        (
            imported(A, "8A", None, MarkedClass("7A", None)),
            (FileClass("new", 2, "7A", None, "SV1"), FileClass("old", 3, "8A", None, "SV1")),
        ),
        (
            imported(A, "9A", "2", MarkedClass("9A", "1")),
            (FileClass("new", 2, "9B", "1", "SV1"), FileClass("old", 3, "9A", "2", "SV1")),
        ),
        (
            imported(A, "9A", "2", MarkedClass("9A", "2")),
            (FileClass("new", 2, "9A", None, "SV1"), FileClass("old", 3, "9B", "2", "SV1")),
        ),
    ],
)
def test_a_class_that_the_file_knows_better_by_another_of_its_classes_is_not_two(
    cls: ClassState, classes: tuple[FileClass, ...]
) -> None:
    students = file(row(2, "Bo Ek", cls="new"), row(3, "Anna Ek", cls="old"), classes=classes)
    state = apply(
        make_plan(students, state_of([cls], [student(ONE, "Anna Ek")]), PlanOptions()),
        state_of([cls], [student(ONE, "Anna Ek")]),
    )
    assert state.classes[A].member_ids == {ONE}
    assert [len(one.member_ids) for one in state.classes.values()] == [1, 1]


def test_a_class_that_two_of_the_file_may_be_is_an_error_of_both() -> None:
    classes = tuple(FileClass(one, 1, "9B", one, "SV1") for one in ("5", "6"))
    lines = row(2, "Bo Ek", ext="1", cls="5"), row(3, "Anna Ek", ext="2", cls="6")
    plan = make_plan(file(*lines, classes=classes), school(), PlanOptions())
    assert [one.kind for one in plan.rows if one.entity is RowEntity.CLASS] == [RowKind.ERROR] * 2
    assert [(one.class_id, one.has_errors) for one in plan.classes] == [(B, True)]


def test_another_course_in_a_file_for_one_class_is_told_once() -> None:
    course = (FileClass("k", 2, None, None, "ENG5"),)
    plan = make_plan(file(row(2, "Eva Ny"), classes=course), school(), INTO_A)
    assert kinds(plan) == [(2, "error"), (2, "created")]
    assert plan.summary.errors == 1
    assert plan.classes[0].has_errors


def test_what_is_wrong_with_the_whole_is_refused() -> None:
    with pytest.raises(ValidationFailedError):
        make_plan(file(row(2, "Eva Ny")), school(), PlanOptions())
    with pytest.raises(ValidationFailedError):
        make_plan(file(), school(), PlanOptions(course_code="X"))
    with pytest.raises(ClassNotFoundError):
        make_plan(file(), school(), PlanOptions(class_id=NEW))


# --- limits ------------------------------------------------------------------------------------


def test_a_class_takes_as_many_as_it_has_places() -> None:
    state = school(*many(MAX_STUDENTS - 1))
    lines = [row(n, f"New{n} Ny", None, f"n{n}") for n in range(2, 5)]
    plan = make_plan(file(*lines), state, INTO_A)
    assert [kind for _, kind in kinds(plan)] == ["created", "error", "error"]


def test_who_leaves_makes_room() -> None:
    lines = [row(n, f"New{n} Ny", None, f"n{n}") for n in range(2, 5)]
    plan = make_plan(file(*lines), school(*many(MAX_STUDENTS)), SYNC_A)
    assert [kind for _, kind in kinds(plan)[:3]] == ["created"] * 3


def test_a_student_is_in_so_many_classes_only() -> None:
    classes = [UUID(int=1000 + n) for n in range(MAX_CLASSES)]
    state = school(student(ONE, "Anna Ek", None, "1", *classes))
    one = only(make_plan(file(row(2, "Anna Ek", None, "1")), state, INTO_A))
    assert (one.kind, one.errors[0].column) == (RowKind.ERROR, "class")


# --- near duplicates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "email", "is_near"),
    [
        ("Asa Öberg", None, True),
        ("Öberg Åsa", None, True),
        ("Åsa Åberg", None, True),
        ("Åsa Öbreg", None, True),
        ("Åsa-Öberg", None, True),
        ("Åssa Öberg", None, True),
        ("Eva Ny", "asa.oberg@other.se", True),
        ("Eva Öberg", None, False),
    ],
)
def test_who_is_much_like_another_is_worth_a_look(
    name: str, email: str | None, *, is_near: bool
) -> None:
    state = school(student(ONE, "Åsa Öberg", "asa.oberg@x.se", "1", B))
    one = only(make_plan(file(row(2, name, email, "9")), state, INTO_A))
    assert (one.kind, bool(one.notices)) == (RowKind.CREATED, is_near)
