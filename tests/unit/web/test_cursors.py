"""Cursors give back the position they were made from, and nothing else is one."""

import base64
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from pydantic import TypeAdapter

from rules.errors import ValidationFailedError
from web.cursors import MAX_CURSOR, Instant, Text, decode, encode

ID: Final = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NAMED: Final = TypeAdapter(tuple[Text, Text, UUID])
TIMED: Final = TypeAdapter(tuple[Instant, UUID])
NOW: Final = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=600)


@given(texts, texts, st.uuids())
def test_texts_come_back_as_they_were(first: str, last: str, key: UUID) -> None:
    text = encode((last, first, key))
    assert decode(MultiDict(cursor=text), NAMED) == (last, first, key)
    assert set(text) <= set(base64.urlsafe_b64encode(bytes(range(256))).decode()) - {"="}


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_instants_come_back_to_the_microsecond(at: datetime, key: UUID) -> None:
    found = decode(MultiDict(cursor=encode((at, key))), TIMED)
    assert found == (at, key)
    assert found[0].tzinfo is UTC


def test_none_is_the_beginning() -> None:
    assert decode(MultiDict(), TIMED) is None
    assert decode(MultiDict(cursor=""), TIMED) is None


def packed(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "å",
        " ",
        encode((NOW, ID))[:-4],
        encode((NOW, ID)) + "=",
        f"+{encode((NOW, ID))[1:]}",
        encode(("a", "b", ID)),
        encode((NOW, "x")),
        encode((NOW,)),
        encode((NOW, ID, ID)),
        packed(b"\x02" + base64.urlsafe_b64decode(f"{encode((NOW, ID))}==")[1:]),
        packed(b"\x01"),
        packed(b"\x01{}"),
        packed(b"\x01" + b"[" * 2_000),
        packed(b'\x01["2026-11-20T08:15:30","01890a5d-ac96-774b-bcce-b302099a8057"]'),
        packed(b'\x01["9999-12-31T23:59:59-10:00","01890a5d-ac96-774b-bcce-b302099a8057"]'),
        packed(b'\x01[1e999,"01890a5d-ac96-774b-bcce-b302099a8057"]'),
        packed(b"\x01\xff\xfe"),
        "A" * (MAX_CURSOR + 1),
    ],
)
def test_what_no_list_gave_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        decode(MultiDict(cursor=text), TIMED)
    assert [fault.pointer for fault in refusal.value.errors] == ["/cursor"]


@pytest.mark.parametrize("name", ["a\0", "x" * 601])
def test_no_text_is_taken_that_is_none_of_a_name(name: str) -> None:
    with pytest.raises(ValidationFailedError):
        decode(MultiDict(cursor=encode((name, "b", ID))), NAMED)


@given(st.text(min_size=1, max_size=80))
def test_anything_else_is_refused_and_not_more(text: str) -> None:
    with pytest.raises(ValidationFailedError, match="cursor"):
        decode(MultiDict(cursor=text), TIMED)
