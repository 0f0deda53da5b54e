"""How long to pause before the next attempt."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Pauses in seconds: each `growth` times the one before, none over `maximum`.

    `jitter` is the share of a pause by which it may turn out shorter.
    """

    first: float
    maximum: float = 5.0
    growth: float = 2.0
    jitter: float = 0.5
    pauses: int = 0
    """How many there were since the start or the last reset."""
    _last: float = 0.0

    def next(self) -> float:
        """Return the next pause."""
        self._last = min(self._last * self.growth, self.maximum) if self.pauses else self.first
        self.pauses += 1
        return self._last * (1 - self.jitter * random.random())  # noqa: S311  # no secret

    def reset(self) -> None:
        """Begin with the first pause again."""
        self.pauses = 0
