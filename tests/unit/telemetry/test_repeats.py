"""What libraries repeat does not fill the log, and what is new is always in it."""

import logging

import pytest

from telemetry import limits, logs
from telemetry.limits import LineLimit


class Clock:
    time = 1000.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_the_first_of_each_kind_passes_and_the_next_one_says_how_many_did_not(clock: Clock) -> None:
    lines = LineLimit(1, 10.0)
    assert lines.passes("a") == 0
    assert [lines.passes("a") for _ in range(5)] == [None] * 5
    assert lines.passes("b") == 0
    clock.time += 10.0
    assert lines.passes("a") == 5
    clock.time += 10.0
    assert lines.passes("a") == 0


def record(level: int, line: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.conn", level, "conn.py", line, text, (), None)


def test_a_library_that_repeats_itself_with_other_numbers_is_cut_short(clock: Clock) -> None:
    repeats = logs._Repeats()
    storm = [record(logging.ERROR, 7, f"cannot connect to node {n}") for n in range(200)]
    assert len([one for one in storm if repeats.filter(one)]) == logs.REPEATS
    assert repeats.filter(record(logging.ERROR, 8, "something else"))
    assert all(repeats.filter(record(logging.DEBUG, 9, "all of it")) for _ in range(200))
    clock.time += logs.REPEATS_SECONDS
    again = record(logging.ERROR, 7, "cannot connect to node 7")
    assert repeats.filter(again)
    assert logs._library_source(None, "", {"_record": again})["left_out"] == 200 - logs.REPEATS
