"""Files that go to standard output: what is said where it cannot take them."""

import os
import sys
from pathlib import Path

import pytest

from class_management.cli.output import standard_output
from class_management.cli.runner import TroubleError


def test_a_closed_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(TroubleError, match="closed"), standard_output():
        pass


def test_a_full_one_is_said_and_is_not_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(TroubleError, match="No space left"), standard_output() as file:
            file.write(b"x")
        # As Python does when the process ends.
        full.flush()


def test_who_reads_no_more_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(os.dup(writing), "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(BrokenPipeError), standard_output() as file:
            file.write(b"x")
        with Path(os.devnull).open("w", encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), gone.fileno())
    os.close(writing)
