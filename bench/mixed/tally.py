"""Counts of what was done, and of what went wrong."""

from typing import Final

from bench.http_load import LoadError

#: With this many errors the service is broken: the run ends.
MOST_FAULTS: Final = 50


class Tally:
    """The counts of the whole load."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        """The time of each answer over HTTP."""
        self.faults: list[str] = []

    def answered(self, seconds: float) -> None:
        """Note an answer, right or wrong."""
        self.seconds.append(seconds)

    def fault(self, text: str) -> None:
        """Note an error. Raises LoadError at the last of many."""
        self.faults.append(text)
        if len(self.faults) >= MOST_FAULTS:
            raise LoadError(f"{len(self.faults)} errors, the first: {self.faults[0]}")
