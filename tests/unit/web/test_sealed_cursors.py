"""A position comes back as it was sealed, to its owner alone, and nothing shows of it."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from rules.errors import ValidationFailedError
from rules.search import Position
from web.sealed_cursors import read_position, write_position

KEY = bytes(range(32))
SINCE = datetime(2026, 11, 20, 8, 15, 30, 17, tzinfo=UTC)

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=255)
positions = st.builds(
    Position,
    st.tuples(names, names, st.uuids()),
    st.datetimes(timezones=st.just(UTC)),
    st.booleans(),
)


def read(cursor: str, key: bytes = KEY, owner: str = "teacher-1") -> Position | None:
    return read_position(key, owner, MultiDict(cursor=cursor))


@given(positions)
def test_a_position_comes_back(position: Position) -> None:
    cursor = write_position(KEY, "teacher-1", position)
    assert re.fullmatch("[-_A-Za-z0-9]+", cursor)
    assert len(cursor) < 8_000
    assert read(cursor) == position


def test_nobody_else_can_use_it_nor_alter_it() -> None:
    position = Position(("Öberg", "Åsa", UUID(int=7)), SINCE)
    cursor = write_position(KEY, "teacher-1", position)
    altered = [
        cursor[:n] + ("A" if c != "A" else "B") + cursor[n + 1 :] for n, c in enumerate(cursor)
    ]
    attempts = [(text, KEY, "teacher-1") for text in (*altered[:-1], cursor[:-4], cursor + "AAAA")]
    attempts += [(cursor, bytes(32), "teacher-1"), (cursor, KEY, "teacher-2"), ("é" * 30, KEY, "t")]
    for text, key, owner in attempts:
        with pytest.raises(ValidationFailedError) as refused:
            read(text, key, owner)
        assert [fault.pointer for fault in refused.value.errors] == ["/cursor"]
    assert read("") is None
