"""Lists of pupils as people paste them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.console.pasted import COLUMNS, SEVERAL, read_list


def read(text: str, *, swapped: bool = False) -> list[tuple[str, str, str]]:
    pupils = read_list(text, swapped=swapped).pupils
    assert all(one.fault is None for one in pupils)
    return [(one.first, one.last, one.email) for one in pupils]


@pytest.mark.parametrize(
    "line",
    [
        "Anna Maria Berg a@x.se",
        "Anna Maria Berg <a@x.se>",
        '"Anna Maria Berg" <a@x.se>',
        "a@x.se Anna Maria Berg",
        "Anna Maria Berg (a@x.se)",
        "Berg, Anna Maria <a@x.se>",
        "Berg, Anna Maria, a@x.se",
        '"Berg, Anna Maria",a@x.se',
        "Anna Maria,Berg,a@x.se",
        "Anna Maria;Berg;mailto:a@x.se",
        "Anna Maria\tBerg\ta@x.se",
        "a@x.se\tAnna Maria\tBerg",
        "7\tAnna\u00a0Maria\tBerg\ta@x.se\t2010-01-31",
        "Anna Maria Berg;a@x.se;",
        '"Anna Maria";"Berg";"a@x.se"',
        "\ufeff  Anna Maria Berg, a@x.se  \r\n",
    ],
)
def test_a_pupil_is_read_however_it_is_written(line: str) -> None:
    assert read(line) == [("Anna Maria", "Berg", "a@x.se")]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Cher", ("Cher", "")),
        ("Carl von Linné", ("Carl", "von Linné")),
        ("Ana Lucia de la Cruz", ("Ana Lucia", "de la Cruz")),
        ("von Linné, Carl", ("Carl", "von Linné")),
        ("De Geer", ("De", "Geer")),
        ("x@", ("", "")),
    ],
)
def test_a_name_is_taken_apart(line: str, name: tuple[str, str]) -> None:
    [(first, last, _)] = read(line)
    assert (first, last) == name


@pytest.mark.parametrize(
    "text",
    [
        "Förnamn;Efternamn;E-post\nAnna;Berg;a@x.se",
        "EMAIL,LAST NAME,FIRST_NAME\na@x.se,Berg,Anna",
        "Klass\tNamn\tE-postadress:\n9A\tAnna Berg\ta@x.se",
        "Nr\tElev\n1\tBerg, Anna a@x.se",
        "Namn\nAnna Berg\ta@x.se",
        "Personnummer;Efternamn;Förnamn;Mejl;Mobil\n100131-1234;Berg;Anna;a@x.se;070",
    ],
)
def test_a_heading_says_what_the_columns_are(text: str) -> None:
    assert read(text) == [("Anna", "Berg", "a@x.se")]
    assert read_list(text).heading == text.splitlines()[0]


def test_recipients_of_a_mail_are_pupils() -> None:
    found = read("Anna Berg <a@x.se>; Ek, Bo <b@x.se>, Cher <c@x.se>")
    assert found == [("Anna", "Berg", "a@x.se"), ("Bo", "Ek", "b@x.se"), ("Cher", "", "c@x.se")]


def test_lines_keep_their_numbers() -> None:
    pupils = read_list("Namn\n\n \nAnna\r\nBo\rCher").pupils
    assert [(one.line, one.first) for one in pupils] == [(4, "Anna"), (5, "Bo"), (6, "Cher")]


@pytest.mark.parametrize("cell", ["b", "@", "<a@", '"', "a;"])
def test_a_line_that_is_no_pupil_is_one_all_the_same(cell: str) -> None:
    """Also the first one, which might be a heading: no cell is that long."""
    [first, second] = read_list(f"Namn;{cell * 150_000}\n{cell * 150_000}\n").pupils
    assert len(first.first) == len(second.first) == 2000


def test_of_what_no_class_has_room_for_the_beginning_is_read() -> None:
    assert len(read_list("Namn\n" + "x\n" * 9000).pupils) == 2001
    assert len(read_list("x\n" * 2000).pupils) == 2000


def test_what_is_not_clear_is_said_of_its_line() -> None:
    pupils = read_list("9A;Anna;Berg;x\nAnna a@x.se b@x.se\nBo").pupils
    assert [one.fault for one in pupils] == [COLUMNS, SEVERAL, None]


def test_names_are_turned() -> None:
    assert read("Berg\tAnna", swapped=True) == [("Anna", "Berg", "")]


def test_what_is_no_address_stays_to_be_mended() -> None:
    assert read("Namn;Mejl\nAnna;nobody at all") == [("Anna", "", "nobody at all")]


WORD = st.text(st.characters(categories=["L"]), min_size=1, max_size=8).filter(
    lambda word: word.casefold() not in {"no", "id", "nr"}
)


@given(WORD, WORD, st.sampled_from(["\t", ";", ","]), st.booleans())
def test_cells_come_back(first: str, last: str, delimiter: str, quoted: bool) -> None:  # noqa: FBT001
    cells = [f'"{cell}"' if quoted else cell for cell in (first, last, "a@x.se")]
    assert read(f"Förnamn{delimiter}Efternamn{delimiter}Mejl\n{delimiter.join(cells)}") == [
        (first, last, "a@x.se")
    ]


@given(st.text(st.one_of(st.characters(), st.sampled_from('\t;,"<>@\n\r \ufeff')), max_size=80))
def test_whatever_is_pasted_is_read(text: str) -> None:
    found = read_list(text)
    for one in found.pupils:
        assert one.text in text.replace("\u00a0", " ").replace("\u2007", " ").replace("\u202f", " ")
    assert read_list(text) == found
