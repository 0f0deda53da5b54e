"""Rosters in CSV: headings, encodings, bounds, and what is wrong with a line."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.imports.files import FileContents, FilePerson, FileRefusedError, Format, NamedBy
from rules.imports.lines import MAX_LINE, MAX_ROWS
from rules.imports.reading import MAX_BYTES, read
from rules.models import PersonName

ANNA = FilePerson("7", PersonName("Anna", "Berg", "Anna Berg"), "a@x.example")


def read_csv(
    text: str | bytes, *, charset: str | None = None, for_class: bool = True
) -> FileContents:
    body = text.encode() if isinstance(text, str) else text
    return read(body, Format.CSV, charset=charset, for_class=for_class)


def refused(text: str | bytes, *, charset: str | None = None, for_class: bool = True) -> str:
    with pytest.raises(FileRefusedError) as caught:
        read_csv(text, charset=charset, for_class=for_class)
    return caught.value.detail


@pytest.mark.parametrize(
    ("first", "last", "email", "external_id"),
    [
        ("first name", "last name", "email", "external id"),
        ("First_Name", "LAST-NAME", "E-Mail", "External_ID"),
        ("givenName", "familyName", "email", "sourcedId"),
        ("Given name", "Surname", "e mail address", "Student ID"),
        ("Förnamn", "Efternamn", "E-post", "Externt id"),
        ("FÖRNAMN", "EFTERNAMN", "EPOST", "ELEV-ID"),
        ("fo\u0308rnamn", "efternamn", "mejl", "id"),
        ("tilltalsnamn:", "efternamn", "E-postadress", "Elevens id"),
        ("  förnamn ", "\ufeffefternamn", "mail", "elev_id"),
    ],
)
def test_headings_are_known_in_two_languages_in_any_order(
    first: str, last: str, email: str, external_id: str
) -> None:
    cells = [(first, "Anna"), (last, "Berg"), (email, "a@x.example"), (external_id, "7")]
    for seed in range(4):
        order = random.Random(seed).sample(cells, len(cells))
        lines = [",".join(cell[row] for cell in order) for row in (0, 1)]
        [row] = read_csv("\n".join(lines)).rows
        assert (row.person, row.errors) == (ANNA, ())


@pytest.mark.parametrize(
    ("delimiter", "end", "encoding"),
    [*product(",;\t", ("\n", "\r\n", "\r"), ("utf-8", "utf-8-sig", "utf-16", "utf-16-be"))],
)
def test_delimiters_and_encodings_are_evident(delimiter: str, end: str, encoding: str) -> None:
    lines = ["first name;last name;email;external id", "Anna;Berg;a@x.example;7", '"Å;sa";"Ö""";;']
    text = (end.join(lines) + end).replace(";", delimiter)
    contents = read_csv(text.encode(encoding))
    anna, asa = contents.rows
    assert anna.person == ANNA
    name = f"Å{delimiter}sa"
    if delimiter == "\t":
        assert [error.value_kind for error in asa.errors] == ["text"]
    else:
        assert asa.person.name == PersonName(name, 'Ö"', f'{name} Ö"')
    assert contents.delimiter == delimiter


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("us-ascii", "utf-8"),
        ("UTF-16", "utf-16-le"),
        ("utf-16le", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
        ('"windows-1252"', "cp1252"),
        ("ISO-8859-1", "cp1252"),
        ("latin1", "cp1252"),
    ],
)
def test_a_named_encoding_is_taken(charset: str, encoding: str) -> None:
    [row] = read_csv("namn\nÅsa Öberg\n".encode(encoding), charset=charset).rows
    assert row.person.name == PersonName("Åsa", "Öberg", "Åsa Öberg")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_wide_encoding_is_evident_by_the_heading_alone(encoding: str) -> None:
    text = "first name,last name\n" + "".join(f"王{chr(0x4E00 + n)},小明\n" for n in range(500))
    contents = read_csv(text.encode(encoding))
    assert (len(contents.rows), contents.encoding) == (500, encoding)


def test_a_mark_tells_more_than_a_name() -> None:
    body = "namn\nÅsa Öberg\n".encode("utf-16")
    assert read_csv(body, charset="utf-8").encoding == "utf-16-le"


@pytest.mark.parametrize(
    ("body", "charset", "said"),
    [
        (b"", None, "empty"),
        (b"\xef\xbb\xbf \r\n\t", None, "empty"),
        (b"name\nA", "koi8-r", "charset"),
        ("name\nA".encode("utf-32"), None, "UTF-32"),
        (b"name\nA\x00", None, "not a text"),
        (b"name\nBj\xf6rn", "utf-8", "Line 2"),
        ("namn\nÅsa Öberg\n".encode() + b"Bj\xf6rn", None, "Line 3"),
        ("namn\nÅsa Åberg\nÖ".encode()[:-1], None, "Line 3"),
        (b"namn\nBj\xf6rn\nB\x8drn", None, "Line 3"),
        ("namn\nÅ".encode("utf-16-le")[:-1], None, "Line 2"),
        (b"PK\x03\x04abc", None, "workbook"),
        (b"\xd0\xcf\x11\xe0abc", None, "workbook"),
        (b"sep=|\nname|email\n", None, "commas, semicolons or tabs"),
        (b"Anna,Berg\nErik,Lund\n", None, '"first name"'),
        (b'"first name\nAnna', None, "first line cannot be read"),
        (b"first name,email\n", None, "last name"),
        (b"efternamn\n", None, "first name"),
        (b"class,course\n9A,SV1\n", None, "who is in"),
        (b"email,mail,e-post\n", None, "Two columns"),
        (b"name,name\n", None, "Two columns"),
        (b"name" + b",x" * 500, None, "500 columns"),
        (b"name\n" + b"x" * (MAX_LINE + 1), None, "characters"),
        (b"name\n" + b"," * (MAX_LINE + 1), None, "characters"),
        (b"name\n" + b"A B\n" * (MAX_ROWS + 1), None, "50,000 rows"),
        (b"x" * (MAX_BYTES + 1), None, "10 MiB"),
        (b"class,name\n9A,A B\n9B,C D\n", None, "2 classes"),
    ],
)
def test_a_file_that_is_no_roster_is_refused(body: bytes, charset: str | None, said: str) -> None:
    assert said in refused(body, charset=charset)


def test_many_classes_need_a_column_that_says_them() -> None:
    assert "class" in refused("name\nAnna Berg\n", for_class=False)
    contents = read_csv("name,class\nAnna Berg,9A\nErik Lund,\n", for_class=False)
    assert [row.class_key for row in contents.rows] == [contents.classes[0].key, None]
    assert [error.value_kind for error in contents.rows[1].errors] == ["empty"]


@pytest.mark.parametrize(
    ("courses", "code", "is_unknown"),
    [
        (["XX"], None, True),
        (["", "XX"], None, True),
        (["SV1", "XX"], "SV1", False),
        (["XX", "SV1"], "SV1", False),
        ([""], None, False),
    ],
)
def test_a_class_has_an_unknown_course_where_no_line_says_another(
    courses: list[str], code: str | None, *, is_unknown: bool
) -> None:
    lines = "".join(f"Anna {number},9A,{one}\n" for number, one in enumerate(courses))
    [cls] = read_csv(f"name,class,course\n{lines}", for_class=False).classes
    assert (cls.course_code, cls.has_unknown_course) == (code, is_unknown)


def test_a_heading_that_may_mean_more_yields_to_one_that_means_one_thing() -> None:
    contents = read_csv("Id,Elev-ID,Grupp,Klass,Namn\n1,7,a,9A,Anna Berg\n", for_class=False)
    assert contents.rows[0].person.external_id == "7"
    assert contents.classes[0].name == "9A"
    assert contents.ignored == ("Id", "Grupp")


@pytest.mark.parametrize(
    ("name", "first", "last", "full"),
    [
        ("Anna Berg", "Anna", "Berg", "Anna Berg"),
        ('"Berg, Anna Maria"', "Anna Maria", "Berg", "Anna Maria Berg"),
        ("Madonna", "Madonna", "", "Madonna"),
        ("Anna  von Berg", "Anna", "von Berg", "Anna  von Berg"),
        ('"Berg,"', "", "Berg", "Berg"),
        ('","', ",", "", ","),
    ],
)
def test_a_full_name_is_taken_apart(name: str, first: str, last: str, full: str) -> None:
    [row] = read_csv(f"name,email\n{name},\n").rows
    assert row.person == FilePerson(name=PersonName(first, last, full), named_by=NamedBy.FULL)


def test_a_full_name_beside_its_parts_is_kept_as_it_is() -> None:
    [row] = read_csv('first name,last name,full name\nAnna,Berg,"Berg, Anna"\n').rows
    assert row.person.name == PersonName("Anna", "Berg", "Berg, Anna")
    assert row.person.named_by is NamedBy.BOTH


def test_lines_are_those_of_the_file() -> None:
    text = 'sep=,\nname,note\n\nAnna Berg,"one\ntwo\r\nthree"\n,,\nErik Lund,\nNobody\n'
    contents = read_csv(text)
    assert [row.line for row in contents.rows] == [4, 8]
    assert [error.line for error in contents.errors] == [9]


def test_a_quote_that_is_never_closed_hides_nobody_in_silence() -> None:
    before, after = "A B,\n" * 3, "C D,\n" * 30_000
    contents = read_csv(f'name,note\n{before}E F,"open\n{after}')
    [error] = contents.errors
    assert error.line == 5
    assert "not closed" in error.errors[0].detail
    assert len(contents.rows) > 3


def test_as_many_rows_as_an_import_has_are_read() -> None:
    lines = [f"N{n},Öberg,n{n}@x.example,{n}" for n in range(MAX_ROWS)]
    contents = read_csv("\n".join(["first name,last name,email,external id", *lines]))
    assert len(contents.rows) == MAX_ROWS
    assert not any(row.errors for row in contents.rows)
    assert {row.person.external_id for row in contents.rows} == {f"{n}" for n in range(MAX_ROWS)}


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ("Anna,Berg,b@x.example,7", "external id"),
        ("Anna,Berg,a@x.example,8", "email"),
        ("Erik,Lund,A@X.EXAMPLE,", "email"),
    ],
)
def test_a_student_twice_in_a_class_is_an_error_of_the_second_line(
    second: str, column: str
) -> None:
    head = "class,first name,last name,email,external id\n9A,Anna,Berg,a@x.example,7\n"
    contents = read_csv(f"{head}9A,{second}\n", for_class=False)
    assert [[error.column for error in row.errors] for row in contents.rows] == [[], [column]]
    elsewhere = read_csv(f"{head}9B,{second}\n", for_class=False)
    assert not any(row.errors for row in elsewhere.rows)


def test_a_line_that_says_the_same_again_is_passed_over() -> None:
    line = "Anna,Berg,a@x.example,7\n"
    contents = read_csv(f"first name,last name,email,external id\n{line * 3}")
    assert [row.line for row in contents.rows] == [2]
    assert contents.repeated == (3, 4)


def test_two_of_one_name_are_told_apart_or_are_an_error() -> None:
    text = "first name,last name,external id\nAlva,Ek,1\nAlva,Ek,2\nNils,Ek,\nNils,Ek,\n"
    assert [len(row.errors) for row in read_csv(text).rows] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("=1+1", "formula"),
        ("\uff1d1+1", "formula"),
        ("#N/A", "formula"),
        ("#REFERENS!", "formula"),
        ("x" * 256, "text"),
        ("9" * 256, "number"),
        ("a@x.example\u202e", "address"),
        ("2010-01-31\x07", "text"),
    ],
)
def test_a_fault_says_what_stands_there_and_not_the_value(cell: str, kind: str) -> None:
    [row] = read_csv(f"Förnamn,Efternamn\n{cell},Berg\n").rows
    [error] = row.errors
    assert (error.column, error.value_kind) == ("Förnamn", kind)
    assert cell not in error.detail


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("SV1", ["SV1"]),
        ("sv 1", ["SV1"]),
        ("Svenska 1", ["SV1"]),
        ("ENGLISH 5", ["ENG5"]),
        ("", [None]),
        ("MA1", [None]),
    ],
)
def test_a_course_is_known_by_its_code_or_its_name(text: str, codes: list[str | None]) -> None:
    contents = read_csv(f"name,class,course\nAnna Berg,9A,{text}\n", for_class=False)
    assert [one.course_code for one in contents.classes] == codes
    assert [error.column for error in contents.rows[0].errors] == ["course"] * (text == "MA1")


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.lists(_CELLS, min_size=5, max_size=5), max_size=8))
def test_no_error_quotes_a_cell(lines: list[list[str]]) -> None:
    marked = [[f"{cell}Zq\u00f8{cell}" for cell in line] for line in lines]
    text = "\n".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in marked
    )
    contents = read_csv(f"class,course,name,email,external id\n{text}", for_class=False)
    faults = [fault for row in contents.rows for fault in row.errors]
    faults += [fault for line in contents.errors for fault in line.errors]
    assert len(faults) >= len(marked)
    assert not any("Zq" in f"{fault}" for fault in faults)
