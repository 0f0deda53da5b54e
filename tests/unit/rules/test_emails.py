"""The key by which addresses are compared."""

import unicodedata
from typing import Final, Literal, TypeAlias, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.emails import domain_of, is_own, key_of
from tests.unit.rules.strategies import addresses

Form: TypeAlias = Literal["NFC", "NFD"]

SAME: Final = [
    ("Asa@Skola.example", "asa@sKOLA.EXAMPLE"),
    ("åsa@skola.example", "A\u030aSA@skola.example"),
    ("strauß@skola.example", "STRAUSS@skola.example"),
    ("νίκος@skola.example", "ΝΊΚΟΣ@skola.example"),
    ("ﬁa@skola.example", "FIA@skola.example"),
    ("İrem@okul.example", "irem@okul.example"),
    ("한@skola.example", "\u1112\u1161\u11ab@skola.example"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@bücher.example", "A@BU\u0308CHER.EXAMPLE"),
    ("a@bücher.example", "a@XN--BCHER-KVA.example"),
    ("a@ｓkola.example", "a@skola.example"),  # noqa: RUF001
    ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
    ("å@skola.local", "Å@skola.\uff4cocal"),
]
OTHERS: Final = [
    ("ısa@okul.example", "isa@okul.example"),  # noqa: RUF001
    ("a@faß.example", "a@fass.example"),
    ("å@skola.local", "å@skola.xocal"),
    ("å@skola.example", "a@skola.example"),
    ("ａ@skola.example", "a@skola.example"),  # noqa: RUF001
    ("a.b@skola.example", "ab@skola.example"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_two_addresses_have_two_keys(one: str, other: str) -> None:
    assert key_of(one) != key_of(other)


@given(addresses, st.sampled_from(get_args(Form)))
@example("ΐ@x.example", "NFD")
@example("a\u0345\u0301@x.example", "NFC")
@example("ǰ@x.example", "NFC")
def test_a_key_depends_on_nothing_but_the_address(address: str, form: Form) -> None:
    key = key_of(address)
    assert key_of(key) == key
    assert key_of(unicodedata.normalize(form, address)) == key
    local, _, domain = address.rpartition("@")
    assert key_of(f"{unicodedata.normalize(form, local).casefold()}@{domain}") == key
    if ascii_domain := domain_of(address):
        assert key_of(f"{local}@{ascii_domain}") == key


@given(st.text(st.characters(codec="utf-8"), max_size=300))
@example("")
@example("@")
@example("å" * 100_000)
def test_what_is_no_address_has_a_key_too(text: str) -> None:
    """Rows of earlier versions are read, whatever they hold."""
    assert isinstance(key_of(text), str)


def test_a_key_keeps_the_domain_that_the_library_reserves() -> None:
    assert domain_of("å@Skola.LOCAL") == "skola.local"
    assert domain_of("å@skola.\uff4cocal") == "skola.local"
    assert not is_own("skola.local")


@given(addresses)
def test_a_key_fits_the_index(address: str) -> None:
    """PostgreSQL takes about 2,700 bytes in a row of an index, the owner's id among them."""
    assert len(key_of(address).encode()) <= 254 * 6
