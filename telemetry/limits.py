"""Keeps what repeats itself from filling the log."""

import time
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Kind:
    began: float
    passed: int = 0
    left_out: int = 0


class LineLimit:
    """Lets a number of lines of each kind pass in an interval, always the first, and counts others.

    There must be a bounded number of kinds.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._kinds: dict[Hashable, _Kind] = {}

    def passes(self, kind: Hashable) -> int | None:
        """Return how many lines were left out before this one, None if it is to be left out."""
        now = time.monotonic()
        seen = self._kinds.setdefault(kind, _Kind(now))
        if now - seen.began >= self._seconds:
            seen.began, seen.passed = now, 0
        if seen.passed >= self._most:
            seen.left_out += 1
            return None
        seen.passed += 1
        left_out, seen.left_out = seen.left_out, 0
        return left_out
