"""What becomes of text from people before it is stored (docs/contract.md, section 1)."""

import json
import re
import unicodedata
from typing import Any, Final, Literal, TypeAlias, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from rules.commands.orders import ClassCreate, RosterRegister, StudentCreate
from rules.errors import ValidationFailedError
from rules.identity import CONTROL
from rules.ids import new_id
from rules.inputs import (
    MAX_CLASS_NAME,
    MAX_NAME_PART,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
    read_json,
)
from rules.models import EmailChange, PersonName, StudentChange
from rules.text import BIDIRECTIONAL, PLAIN_NAME, is_visible, normalised
from tests.support.commands import deliver

Form: TypeAlias = Literal["NFC", "NFD"]

#: Unicode's property White_Space (PropList.txt), and the mark that some files begin with.
BLANKS: Final = [
    *map(chr, (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029)),
    *("\u202f", "\u205f", "\u3000", "\ufeff"),
]
#: One of each kind that shows nothing by itself.
INVISIBLE: Final = [
    *("\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\u180e", "\U000e0041"),  # format
    *("\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f", "\u17b4"),  # fillers
    *("\u0301", "\u0903", "\u20dd", "\ufe0f", "\U000e0100"),  # combining
]
BIDI: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

texts = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from([*BLANKS, *INVISIBLE, "e", "Å", "각"])),
    max_size=20,
)


def read(person: dict[str, Any]) -> PersonName:
    body = json.dumps({"person_name": person}).encode()
    return read_json(NewStudentInput, body).resolve().name


def faults(value: dict[str, Any], model: type[BaseModel] = NewStudentInput) -> list[str]:
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(model, json.dumps(value).encode())
    return [fault.pointer for fault in refusal.value.errors]


# --- the function ------------------------------------------------------------------------------


@given(texts)
@example("\u0301a ")
@example(" \u2000\u0344")
@example("\ufeff\ufeff a\ufeff")
def test_what_is_normalised_stays_as_it_is(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not once or (once[0] not in BLANKS and once[-1] not in BLANKS)


@given(texts, st.sampled_from(BLANKS), st.sampled_from(get_args(Form)))
def test_what_looks_the_same_is_stored_the_same(text: str, blank: str, form: Form) -> None:
    assert normalised(blank + unicodedata.normalize(form, text) + blank) == normalised(text)


def test_a_letter_of_any_script_is_visible_and_what_shows_nothing_is_not() -> None:
    for code in (*range(0x20000), *range(0xE0000, 0xE1000)):
        character = chr(code)
        category, name = unicodedata.category(character), unicodedata.name(character, "")
        hidden = category in {"Cf", "Mn", "Mc", "Me"} or re.search("HANGUL.* FILLER", name)
        if hidden or character in BLANKS:
            assert not is_visible(character), hex(code)
        elif category[0] in "LNPS" and character not in {"\u2800", "\U0001d159"}:
            assert is_visible(character) or "BLANK" in name, hex(code)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("A\u030asa", "Åsa"),
        ("\u212bsa", "Åsa"),
        ("\ufeffÅsa", "Åsa"),
        (" \t\u3000Åsa\u00a0\r\n", "Åsa"),
        ("\u1112\u1161\u11ab", "한"),  # Hangul as a Mac sends file names
        ("نیم\u200cفاصله", "نیم\u200cفاصله"),  # noqa: RUF001  # Persian needs its joiner
        ("👩\u200d🎓", "👩\u200d🎓"),
        ("Anna  Maria", "Anna  Maria"),
        ("Ａｎｎａ", "Ａｎｎａ"),  # noqa: RUF001  # full width is how it was written
        ("عبد الله", "عبد الله"),
        ("Işıl", "Işıl"),  # noqa: RUF001
        ("ΝΊΚΟΣ Νίκος", "ΝΊΚΟΣ Νίκος"),
        ("Strauß", "Strauß"),
        ("\u1e9b\u0323", "\u1e9b\u0323"),
    ],
)
def test_names_are_stored_in_one_form_and_without_blanks_around(given_: str, stored: str) -> None:
    name = read({"first_name": given_, "last_name": given_, "legal_full_name": given_})
    assert name == PersonName(stored, stored, stored)
    made = read_json(
        NewClassInput, json.dumps({"name": given_, "course_codes": ["SV1"]}).encode()
    ).resolve()
    assert made.name == stored


@pytest.mark.parametrize("blank", BLANKS)
def test_every_blank_of_unicode_is_taken_off(blank: str) -> None:
    name = read({"first_name": f"{blank}Å b{blank}{blank}", "last_name": blank})
    assert name == PersonName("Å b", "", "Å b")
    assert faults({"name": blank, "course_codes": ["SV1"]}, NewClassInput) == ["/name"]


@pytest.mark.parametrize("text", [*INVISIBLE, "".join(INVISIBLE), "\u200b \u200b"])
def test_a_name_that_shows_nothing_is_none(text: str) -> None:
    for part in ("first_name", "last_name", "legal_full_name"):
        person = {"first_name": "Å", "last_name": "Ö", part: text}
        assert faults({"person_name": person}) == [f"/person_name/{part}"]
    assert faults({"name": text, "course_codes": ["SV1"]}, NewClassInput) == ["/name"]


@pytest.mark.parametrize("control", BIDI)
def test_what_turns_the_direction_of_text_is_refused(control: str) -> None:
    assert BIDIRECTIONAL.fullmatch(control)
    for text in (f"a{control}b", f"{control}ab", f"ab{control}"):
        for part in ("first_name", "last_name", "legal_full_name"):
            person = {"first_name": "Å", "last_name": "Ö", part: text}
            assert faults({"person_name": person}) == [f"/person_name/{part}"]
        assert faults({"name": text, "course_codes": ["SV1"]}, NewClassInput) == ["/name"]


def test_a_text_that_grows_is_measured_again() -> None:
    longest = "\U0001d160" * (MAX_NAME_PART // 3)  # three characters in NFC
    assert len(read({"first_name": longest}).first_name) == MAX_NAME_PART
    assert faults({"person_name": {"first_name": f"{longest}a"}}) == ["/person_name/first_name"]
    grown = "\U0001d160" * (MAX_CLASS_NAME // 3 + 1)
    assert faults({"name": grown, "course_codes": ["SV1"]}, NewClassInput) == ["/name"]


def test_a_text_that_is_too_long_is_refused_before_blanks_are_taken_off() -> None:
    person = {"first_name": "Å" + " " * MAX_NAME_PART}
    assert faults({"person_name": person}) == ["/person_name/first_name"]


# --- one name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ({"first_name": "Sukarno"}, PersonName("Sukarno", "", "Sukarno")),
        ({"first_name": "Sukarno", "last_name": ""}, PersonName("Sukarno", "", "Sukarno")),
        ({"last_name": "Suharto"}, PersonName("", "Suharto", "Suharto")),
        ({"first_name": " ", "last_name": "Suharto"}, PersonName("", "Suharto", "Suharto")),
        (
            {"first_name": "", "last_name": "S", "legal_full_name": " "},
            PersonName("", "S", "S"),
        ),
        (
            {"first_name": " Åsa ", "last_name": " Öberg "},
            PersonName("Åsa", "Öberg", "Åsa Öberg"),
        ),
        (
            {"first_name": "Å", "last_name": "Ö", "legal_full_name": ""},
            PersonName("Å", "Ö", "Å Ö"),
        ),
        (
            {"first_name": "Sukarno", "legal_full_name": "Dr. Sukarno "},
            PersonName("Sukarno", "", "Dr. Sukarno"),
        ),
    ],
)
def test_one_name_is_enough(person: dict[str, str], name: PersonName) -> None:
    assert read(person) == name


@pytest.mark.parametrize(
    "person",
    [
        {},
        {"first_name": ""},
        {"last_name": " \ufeff"},
        {"first_name": "", "last_name": ""},
        {"legal_full_name": "Sukarno"},
        {"first_name": "", "last_name": "\u3000", "legal_full_name": "Sukarno"},
    ],
)
def test_no_name_at_all_is_a_fault_of_the_name(person: dict[str, str]) -> None:
    assert faults({"person_name": person}) == ["/person_name"]
    assert faults({"person_name": person}, StudentChangeInput) == ["/person_name"]


# --- emails ------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", *BLANKS, " \ufeff\t"])
def test_an_email_without_anything_is_none(blank: str) -> None:
    value = {"person_name": {"first_name": "Å"}, "email": blank}
    assert read_json(NewStudentInput, json.dumps(value).encode()).resolve().email is None
    change = read_json(StudentChangeInput, json.dumps({"email": blank}).encode()).resolve()
    assert change == StudentChange(email=EmailChange(None))


@pytest.mark.parametrize("address", ["Åsa.Öberg@Bücher.example", "A\u030asa@skola.example"])
def test_an_email_is_kept_as_written_between_its_blanks(address: str) -> None:
    for around in ("", "\ufeff", " \t\u3000"):
        body = json.dumps({"email": f"{around}{address}{around}"}).encode()
        change = read_json(StudentChangeInput, body).resolve()
        assert change == StudentChange(email=EmailChange(address))


# --- commands ----------------------------------------------------------------------------------


def test_commands_read_names_and_emails_in_the_same_way() -> None:
    row: dict[str, object] = {"person_name": {"first_name": "\ufeffSukarno "}, "email": " "}
    found = deliver("student.create", "t", None, **row).command.order
    assert isinstance(found, StudentCreate)
    assert (found.new.name, found.new.email) == (PersonName("Sukarno", "", "Sukarno"), None)
    named = deliver("class.create", "t", name="A\u030a ", course_codes=["SV1"])
    made = named.command.order
    assert isinstance(made, ClassCreate)
    assert made.new.name == "Å"
    rows = [row, {"person_name": {"last_name": ""}}, {"person_name": {"last_name": "\u3164"}}]
    roster = deliver("roster.register", "t", class_id=new_id(), students=rows)
    read_ = roster.command.order
    assert isinstance(read_, RosterRegister)
    assert [fault.pointer for fault in read_.faults] == [
        "/students/1/person_name",
        "/students/2/person_name/last_name",
    ]


def test_plain_names_hold_only_what_is_stored_as_it_is() -> None:
    plain = [chr(code) for code in range(0x110000) if PLAIN_NAME.fullmatch(chr(code))]
    assert len(plain) == 10 + 2 * 26 + 2 + 0x180 - 0xC0
    for one in plain:
        assert normalised(one) == one
        assert is_visible(one)
        assert not CONTROL.search(one)
        assert not BIDIRECTIONAL.search(one)


@given(st.text("aÅ'- \u0301\u00a0\n\u200f1Đż", max_size=9))
def test_a_plain_name_is_stored_as_it_is(name: str) -> None:
    if PLAIN_NAME.fullmatch(name):
        assert normalised(name) == name
