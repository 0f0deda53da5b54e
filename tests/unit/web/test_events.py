"""Server-sent events of what anybody may publish on Redis."""

from typing import Final
from uuid import uuid4

import orjson
import pytest

from web.documents import event_examples
from web.notifications.events import (
    MOST_BYTES,
    UnknownEventError,
    UnreadableError,
    event_of,
    opening,
)

NO_DATA: Final[tuple[object, ...]] = (None, [], "x", 1, {}, {"event_id": 1})
NO_EVENTS: Final[tuple[object, ...]] = (None, 1, [], {})


def published(**members: object) -> bytes:
    whole = {"event": "class_created", "data": {"event_id": str(uuid4())}}
    return orjson.dumps(whole | members)


@pytest.mark.parametrize("push", [*event_examples.pushed()], ids=lambda one: one["event"])
def test_what_the_service_publishes_goes_on(push: dict[str, object]) -> None:
    event, event_id, data, *rest = event_of(orjson.dumps(push)).decode().split("\n")
    assert (event, rest) == (f"event: {push['event']}", ["", ""])
    assert orjson.loads(data.removeprefix("data: ")) == push["data"]
    assert orjson.loads(data.removeprefix("data: "))["event_id"] == event_id.removeprefix("id: ")


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"no JSON", b"\xff", b"[]", b"null", b"1", b"{}", b'{"event":"class_created"}'),
        *(published(data=value) for value in NO_DATA),
        *(published(data={"event_id": text}) for text in ("", "x", f"{uuid4()}\nevent: x")),
        *(published(event=value) for value in NO_EVENTS),
        published(data={"event_id": str(uuid4()), "text": "x" * MOST_BYTES}),
    ],
    ids=lambda text: text[:60].decode(errors="replace"),
)
def test_what_is_no_message_is_not(text: bytes) -> None:
    with pytest.raises(UnreadableError) as error:
        event_of(text)
    assert type(error.value) is UnreadableError


@pytest.mark.parametrize("event", ["", "resync", "message", "error", "class_created\nid: x"])
def test_what_others_tell_is_theirs(event: str) -> None:
    with pytest.raises(UnknownEventError):
        event_of(published(event=event))


def test_a_line_break_is_no_end_of_a_line() -> None:
    event = event_of(published(data={"event_id": str(uuid4()), "text": "a\nevent: b\r\n\r\nid: c"}))
    assert (event.count(b"\n"), event.count(b"\r")) == (4, 0)


def test_a_stream_begins_with_an_id_so_that_who_comes_again_says_so() -> None:
    first, second = opening(1000), opening(1000)
    assert first.startswith(b"retry: 1000\nid: ")
    assert first != second
