"""Pauses between attempts, growing and with jitter."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Pauses in seconds, each `growth` times the last and shorter by a share of up to `jitter`."""

    first: float
    maximum: float = 5.0
    growth: float = 2.0
    jitter: float = 0.5
    pauses: int = 0
    """Since the start or the last reset."""
    _last: float = 0.0

    def next(self) -> float:
        """Return the next pause."""
        self._last = min(self._last * self.growth, self.maximum) if self.pauses else self.first
        self.pauses += 1
        return self._last * (1 - self.jitter * random.random())  # noqa: S311  # no secret

    def reset(self) -> None:
        """Start again with the first pause."""
        self.pauses = 0
