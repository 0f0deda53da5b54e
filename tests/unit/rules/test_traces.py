"""Trace contexts that nobody could use are left out."""

import pytest

from rules.traces import valid_traceparent

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("value", [VALID, VALID.replace("00-4", "cc-4"), VALID[:-2] + "00"])
def test_trace_context_is_taken(value: str) -> None:
    assert valid_traceparent(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        VALID.encode(),
        "",
        VALID.upper(),
        VALID + "\n",
        " " + VALID,
        VALID + "-00",
        VALID[:-1],
        "ff" + VALID[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        VALID.replace("4bf9", "٤bf9"),
    ],
)
def test_anything_else_is_left_out(value: object) -> None:
    assert valid_traceparent(value) is None
