"""Large answers, and who waits for them."""

import asyncio

import pytest

from rules.events.envelopes import to_json
from rules.tags import tag_of
from store import pace
from store.tagging import written
from web.answers import answer_tagged


async def test_others_run_while_a_large_answer_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BREATH_SECONDS", -1.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    pieces = await written({"n": n} for n in range(10))
    assert turns >= 10
    turns = 0
    await answer_tagged({"all": "x" * 1_000_000})
    assert turns >= 10
    running.cancel()
    assert to_json({"all": pieces}) == to_json({"all": [{"n": n} for n in range(10)]})


async def test_the_tag_is_of_every_byte_and_of_no_other() -> None:
    long = "x" * 200_000
    one, same, other = [await answer_tagged({"all": long + end}) for end in ("a", "a", "b")]
    assert one.headers["ETag"] == same.headers["ETag"] != other.headers["ETag"]
    assert one.headers["ETag"] == f'"{tag_of(to_json({"all": long + "a"}))}"'
    timed = await answer_tagged({"all": long + "a"}, {"server_time": 1})
    assert timed.headers["ETag"] == one.headers["ETag"]
