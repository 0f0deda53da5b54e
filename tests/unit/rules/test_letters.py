"""Dead letters as people look at them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import topics
from rules.dead_letters.letters import (
    NAMES,
    Address,
    Origin,
    original_topic,
    read_letter,
    replay_mark,
    replay_message,
)
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.models import Record
from tests.unit.rules.strategies import NOW

DEAD: Final = topics.dead_letter_topic(topics.COMMANDS)
ID: Final = UUID("11111111-1111-4111-8111-000000000001")
OTHER: Final = UUID("11111111-1111-4111-8111-000000000002")
TAKEN: Final = Record(
    topics.COMMANDS, 3, 42, 1_700_000_000_000, b"key", b"\xff", (("h", b"\x00"), ("h", b"2"))
)


def buried(record: Record) -> Record:
    message = dead_letter_message(DeadLetter(record, Reason.UNREADABLE, "no JSON"), NOW)
    return Record(message.topic, 5, 9, 1, message.key, message.value, message.headers)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("commands/5/9", Address(DEAD, 5, 9)),
        (f"{DEAD}/0/0", Address(DEAD, 0, 0)),
        (
            "timers/7/999999999999999999",
            Address(f"{topics.TIMERS}.dlt", 7, 999_999_999_999_999_999),
        ),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(address.short) == Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "commands",
        "commands/1",
        "commands/1/2/3",
        "commands/-1/2",
        "commands/1/x",
        "commands/1/2 ",
        "commands/1/\uff12",
        "classes/1/2",
        f"{topics.COMMANDS}/1/2",
        f"commands/1/{'9' * 19}",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="suggestions"):
        Address.parse(text)


def test_every_topic_of_dead_letters_has_a_name_and_an_original() -> None:
    assert sorted(NAMES.values()) == sorted(topics.DEAD_LETTER)
    for topic in topics.DEAD_LETTER:
        assert topics.dead_letter_topic(original_topic(topic)) == topic


def test_a_letter_says_where_it_came_from() -> None:
    letter = read_letter(buried(TAKEN))
    assert letter.address == Address(DEAD, 5, 9)
    assert (letter.at, letter.reason, letter.exception) == (NOW, "unreadable", "no JSON")
    assert letter.origin == Origin(topics.COMMANDS, 3, 42)
    assert (letter.key, letter.size, letter.event_id) == (b"key", 1, None)
    assert (letter.replay_id, letter.replayed_from) == (None, None)


@pytest.mark.parametrize(
    ("value", "headers", "event_id"),
    [
        (b'{"event_id": "%s"}' % str(ID).encode(), (), ID),
        (b'{"event_id": "%s"}' % str(ID).encode(), (("event_id", str(OTHER).encode()),), ID),
        (b"{", (("event_id", str(OTHER).encode()),), OTHER),
        (b'{"event_id": 7}', (("event_id", b"\xff"),), None),
        (b"[]", (), None),
        (None, (), None),
    ],
)
def test_the_event_id_is_that_of_the_envelope_or_of_the_header(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...], event_id: UUID | None
) -> None:
    record = replace(TAKEN, value=value, headers=headers)
    assert read_letter(buried(record)).event_id == event_id


def test_a_replay_is_the_message_as_it_first_came() -> None:
    message = replay_message(buried(TAKEN), ID)
    assert (message.topic, message.key, message.value) == (topics.COMMANDS, b"key", b"\xff")
    assert message.headers == (
        *TAKEN.headers,
        ("dlt-replay-id", str(ID).encode()),
        ("dlt-replayed-from", f"{DEAD}/5/9".encode()),
    )


def test_a_replay_that_fails_again_is_a_letter_that_says_so() -> None:
    first = replay_message(buried(TAKEN), ID)
    again = buried(replace(TAKEN, offset=77, headers=first.headers))
    letter = read_letter(again)
    assert letter.origin == Origin(topics.COMMANDS, 3, 77)
    assert (letter.replay_id, letter.replayed_from) == (ID, Address(DEAD, 5, 9))
    second = replay_message(replace(again, offset=10), OTHER)
    assert second.headers == (
        *TAKEN.headers,
        ("dlt-replay-id", str(OTHER).encode()),
        ("dlt-replayed-from", f"{DEAD}/5/10".encode()),
    )


def test_where_a_replay_goes_does_not_depend_on_what_the_letter_claims() -> None:
    record = buried(TAKEN)
    claimed = (*record.headers, ("dlt-topic", topics.CLASS_CREATED.encode()))
    assert replay_message(replace(record, headers=claimed), ID).topic == topics.COMMANDS


@pytest.mark.parametrize("claimed", [b"", b"\xff", b"1", b"replay"])
def test_what_is_no_replay_id_is_no_replay(claimed: bytes) -> None:
    assert replay_mark(replace(TAKEN, headers=(("dlt-replay-id", claimed),))) is None


def test_letters_at_one_place_in_topics_made_anew_are_different() -> None:
    record = buried(TAKEN)
    assert read_letter(record).id == read_letter(record).id
    assert read_letter(record).id != read_letter(replace(record, timestamp_ms=2)).id
    assert read_letter(record).id != read_letter(replace(record, value=b"\xfe")).id


_names = st.sampled_from(
    (
        "dlt-reason",
        "dlt-topic",
        "dlt-partition",
        "dlt-offset",
        "dlt-timestamp",
        "dlt-replay-id",
        "dlt-replayed-from",
        "event_id",
    )
)
_values = st.binary(max_size=20) | st.sampled_from(
    [b"7", b"1" * 5000, b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"commands/1/1"]
)


@given(
    headers=st.lists(st.tuples(_names, _values)),
    value=st.none() | st.binary(max_size=20) | st.just(b"[" * 3000),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_lies_there_can_be_looked_at(
    headers: list[tuple[str, bytes]], value: bytes | None, timestamp: int
) -> None:
    record = Record(DEAD, 0, 0, timestamp, None, value, tuple(headers))
    letter = read_letter(record)
    assert letter.at.astimezone(UTC) <= datetime.max.replace(tzinfo=UTC)
    replayed = replay_message(record, ID)
    mark = replay_mark(replace(record, headers=replayed.headers))
    assert mark is not None
    assert (mark.id, mark.letter) == (ID, Address(DEAD, 0, 0))
