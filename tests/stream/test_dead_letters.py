"""What can never be processed is kept, and the stream goes on."""

from typing import Final

import orjson
import pytest

from devstack.rig.http import Teacher
from devstack.rig.kafka import DEAD_SUGGESTIONS, Message, Topics
from devstack.rig.suggestions import TOPIC, Json, Suggested, sample, suggest

NESTED: Final = 10_000

UNREADABLE: Final[dict[str, bytes | None]] = {
    "not UTF-8": b'{"event_id": "\xff\xfe"}',
    "null": None,
    "empty": b"",
    "not JSON": b"{",
    "list nested deeply": b"[" * NESTED + b"]" * NESTED,
    "object nested deeply": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
}
INVALID: Final[dict[str, bytes]] = {
    "list": b"[]",
    "number": b"7",
    "legacy": sample(2, {}).value,
}
HEADERS: Final = (("traceparent", b"garbage"), ("twice", b"1"), ("twice", b"2"), ("raw", b"\xff\0"))


async def test_what_cannot_be_read_is_dead_lettered_whole_and_the_stream_goes_on(
    teacher: Teacher, topics: Topics
) -> None:
    class_id = await teacher.new_class()
    key = f"dead-{teacher.id}"
    values: dict[str, bytes | None] = {**UNREADABLE, **INVALID}
    places = [await topics.send(value, key, HEADERS) for value in values.values()]
    behind = suggest(class_id, [])
    await topics.suggest(behind, key=key)
    await teacher.stored(behind.batch_id)

    letters = await topics.expect(DEAD_SUGGESTIONS, key, len(values))
    assert [letter.value for letter in letters] == list(values.values())
    for name, letter, place in zip(values, letters, places, strict=True):
        assert letter.headers[: len(HEADERS)] == HEADERS
        reason = "unreadable" if name in UNREADABLE else "invalid_message"
        assert_headers(letter, reason, place)
    assert len(await topics.all_of(DEAD_SUGGESTIONS, key)) == len(values)


async def test_a_dead_letter_without_a_key_has_none(teacher: Teacher, topics: Topics) -> None:
    value = f'"{teacher.id}"'.encode()
    place = await topics.send(value)
    (letter,) = await topics.expect_value(DEAD_SUGGESTIONS, value)
    assert letter.key is None
    assert_headers(letter, "invalid_message", place)


@pytest.mark.parametrize(
    ("member", "bad"),
    [
        ("confidence_score", 1.01),
        ("confidence_score", "high"),
        ("student_id", "unknown"),
        ("match_reasons", ["email_exact", None]),
        ("match_reasons", "email_exact"),
    ],
)
async def test_suggestions_that_cannot_be_stored_are_dead_lettered(
    teacher: Teacher, topics: Topics, member: str, bad: object
) -> None:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    first_suggestion(batch)[member] = bad
    await topics.suggest(batch)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)
    assert (letter.value, letter.header("dlt-reason")) == (batch.value, "invalid_message")
    assert (await teacher.batch(batch.batch_id)).status == 404


async def test_a_dead_letter_sent_again_is_handled_anew(teacher: Teacher, topics: Topics) -> None:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    stranger = suggest(await teacher.new_class(), [], batch_id=batch.batch_id)
    await topics.suggest(batch)
    await topics.suggest(stranger)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)
    assert letter.header("dlt-reason") == "batch_of_another_class"
    await topics.send(letter.value, batch.batch_id, letter.headers)
    again = (await topics.expect(DEAD_SUGGESTIONS, batch.batch_id, 2))[1]
    assert again.value == letter.value


async def test_an_unknown_member_and_the_bare_event_name_are_fine(
    teacher: Teacher, topics: Topics
) -> None:
    class_id = await teacher.new_class()
    batch = suggest(class_id, [])
    batch.envelope["event_type"] = "batch.author.matches.suggested"
    batch.envelope["new_member"] = batch.envelope["data"]["new_member"] = {"a": [1, None]}
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)


def first_suggestion(batch: Suggested) -> Json:
    suggestion: Json = batch.envelope["data"]["match_results"][0]["suggestions"][0]
    return suggestion


def assert_headers(letter: Message, reason: str, place: tuple[int, int]) -> None:
    """Check what a dead letter says of itself."""
    assert letter.header("dlt-reason") == reason
    assert letter.header("dlt-topic") == TOPIC
    partition, offset = place
    assert letter.header("dlt-partition") == str(partition)
    assert letter.header("dlt-offset") == str(offset)
    assert letter.header("dlt-timestamp").startswith("20")
    assert letter.header("dlt-exception")
    # It names places, never values.
    assert orjson.dumps(letter.header("dlt-exception"))
