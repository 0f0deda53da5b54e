"""What is written is read as it was, whatever people are called."""

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.courses import COURSES
from rules.emails import MAX_ADDRESS, domain_of, is_own, key_of
from rules.external_ids import cleaned
from rules.imports.cells import harmless, plain
from rules.imports.files import FileContents, FilePerson, Format
from rules.imports.reading import read
from rules.imports.writing import ExportClass, csv_classes, csv_roster, oneroster
from rules.inputs import MAX_CLASS_NAME, PersonNameInput
from rules.models import ClassRecord, PersonName, StudentRecord
from rules.text import normalised
from tests.unit.rules.strategies import addresses, names

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DAY = date(2026, 11, 20)

_BEGINNINGS = st.sampled_from(
    ["", "=", "+", "-", "@", "'", "'=", "''+", "#N/A", "1E+5", "=1;=2", ";=", '",=', "\uff1d", ", "]
)


def _risky(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts that a spreadsheet may run, and others."""
    return st.builds("{}{}".format, _BEGINNINGS, texts)


_names = st.builds(
    lambda first, last, full: PersonNameInput(
        first_name=first, last_name=last, legal_full_name=full
    ).resolve(),
    _risky(names),
    st.one_of(st.just(""), _risky(names)),
    st.one_of(st.none(), _risky(names)),
).map(
    # Either part may be the one that is there.
    lambda name: PersonName(name.last_name, name.first_name, name.legal_full_name)
)
_ids = _risky(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)).map(cleaned)
_emails = addresses.filter(
    lambda text: (
        len(text) <= MAX_ADDRESS and (found := domain_of(text)) is not None and not is_own(found)
    )
)
_class_names = _risky(names).map(normalised).filter(lambda name: len(name) <= MAX_CLASS_NAME)


@st.composite
def exports(draw: st.DrawFn) -> list[ExportClass]:
    """Classes of an owner: ids and addresses are unique."""
    people = draw(st.lists(st.tuples(_names, st.one_of(st.none(), _emails), _ids), max_size=6))
    people = [
        one
        for n, one in enumerate(people)
        if one[2] not in {other[2] for other in people[:n]} - {None}
        and (one[1] is None or key_of(one[1]) not in {key_of(o[1]) for o in people[:n] if o[1]})
    ]
    students = [
        StudentRecord(
            UUID(int=n), "o", name, email, (), 1, NOW, NOW, is_placeholder=False, external_id=other
        )
        for n, (name, email, other) in enumerate(people, 1)
    ]
    of_classes = draw(
        st.lists(
            st.tuples(_class_names, st.sampled_from([*COURSES]), _ids, st.sets(st.integers(0, 5))),
            max_size=4,
            unique_by=lambda one: one[2] or id(one),
        )
    )
    return [
        ExportClass(
            ClassRecord(UUID(int=100 + n), "o", name, course, 0, 1, NOW, NOW, external_id),
            [student for place, student in enumerate(students) if place in chosen],
        )
        for n, (name, course, external_id, chosen) in enumerate(of_classes)
    ]


def read_csv(body: bytes, *, for_class: bool = False) -> FileContents:
    return read(body, Format.CSV, charset=None, for_class=for_class)


def read_zip(body: bytes) -> FileContents:
    return read(body, Format.ONEROSTER, charset=None, for_class=False)


def said_of(person: FilePerson) -> tuple[object, ...]:
    return (person.external_id, person.name, person.email)


def expected_of(student: StudentRecord) -> tuple[object, ...]:
    return (student.external_id or str(student.id), student.name, student.email)


def check(contents: FileContents, classes: Sequence[ExportClass]) -> None:
    assert contents.errors == ()
    assert contents.repeated == ()
    assert [row.errors for row in contents.rows if row.errors] == []
    assert [(one.external_id, one.name, one.course_code) for one in contents.classes] == [
        (one.record.external_id or str(one.record.id), one.record.name, one.record.course_code)
        for one in classes
    ]
    keys = [one.key for one in contents.classes]
    assert [(row.class_key, said_of(row.person)) for row in contents.rows] == [
        (key, expected_of(student))
        for key, one in zip(keys, classes, strict=True)
        for student in one.students
    ]


@given(exports())
def test_classes_come_back_from_csv(classes: list[ExportClass]) -> None:
    body = csv_classes(classes)
    check(read_csv(body), classes)
    assert csv_classes(classes) == body


@given(exports())
def test_classes_come_back_from_oneroster(classes: list[ExportClass]) -> None:
    body = oneroster(classes, DAY)
    check(read_zip(body), classes)
    assert oneroster(classes, DAY) == body


@given(exports())
def test_a_roster_comes_back_into_its_class(classes: list[ExportClass]) -> None:
    for one in classes:
        contents = read_csv(csv_roster(one), for_class=True)
        assert len(contents.classes) <= 1
        assert [said_of(row.person) for row in contents.rows] == [
            expected_of(student) for student in one.students
        ]
        assert not any(row.errors or row.class_key for row in contents.rows)


def cells_of(body: bytes) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(body.decode("utf-8-sig"))) for cell in row]


@given(exports())
def test_no_cell_is_run_by_a_spreadsheet(classes: list[ExportClass]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(oneroster(classes, DAY)))
    bodies = [csv_classes(classes), *(archive.read(name) for name in archive.namelist())]
    for cell in (cell for body in bodies for cell in cells_of(body)):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff20"))
        assert not any(part.strip().startswith("=") for part in cell.split(";"))


@given(st.text(st.sampled_from("=+-@'\t ;,#N/A1E5.aå\uff1d")))
def test_what_is_made_harmless_comes_back(text: str) -> None:
    assert plain(harmless(text)) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-", "'-"),
        ("'=x", "''=x"),
        ("'t Hooft", "'t Hooft"),
        ("a;=1", "a;'=1"),
        ("#N/A", "'#N/A"),
        ("1,2E+10", "'1,2E+10"),
        ("Anna-Lena", "Anna-Lena"),
        ("a@x.example", "a@x.example"),
        ("", ""),
    ],
)
def test_a_cell_has_an_apostrophe_where_a_spreadsheet_would_run_it(text: str, cell: str) -> None:
    assert harmless(text) == cell


def _unknown() -> ExportClass:
    student = StudentRecord(
        UUID(int=1),
        "o",
        PersonName("UNKNOWN", "", "UNKNOWN"),
        None,
        (),
        1,
        NOW,
        NOW,
        is_placeholder=True,
    )
    record = ClassRecord(UUID(int=2), "o", "9A", "SV1", 0, 1, NOW, NOW)
    return ExportClass(record, [student])


@pytest.mark.parametrize(
    "written",
    [
        lambda one: read_csv(csv_classes([one])),
        lambda one: read_csv(csv_roster(one), for_class=True),
        lambda one: read_zip(oneroster([one], DAY)),
    ],
)
def test_unknown_students_are_in_no_file(written: Callable[[ExportClass], FileContents]) -> None:
    contents = written(_unknown())
    assert contents.rows == ()
    assert [one.name for one in contents.classes] == ["9A"]


@pytest.mark.parametrize(
    ("day", "year"), [(date(2026, 6, 30), "2025/2026"), (date(2026, 7, 1), "2026/2027")]
)
def test_a_school_year_begins_in_july(day: date, year: str) -> None:
    archive = zipfile.ZipFile(io.BytesIO(oneroster([], day)))
    assert year in archive.read("academicSessions.csv").decode()


def test_each_line_has_the_cells_of_its_heading() -> None:
    student = StudentRecord(
        UUID(int=1), "o", PersonName("A", "B", "A C B"), "a@x.se", (), 1, NOW, NOW
    )
    one = ExportClass(ClassRecord(UUID(int=2), "o", "9A", "SV1", 1, 1, NOW, NOW), [student])
    archive = zipfile.ZipFile(io.BytesIO(oneroster([one], DAY)))
    for name in archive.namelist():
        rows = [*csv.reader(io.StringIO(archive.read(name).decode()))]
        assert len(rows) > 1, name
        assert {len(row) for row in rows} == {len(rows[0])}, name
