"""What was done, and what went wrong."""

from typing import Final

from bench.http_load import LoadError

#: With so many something is broken altogether: no use in going on.
MOST_FAULTS: Final = 50


class Tally:
    """Counts for all who make the load."""

    def __init__(self) -> None:
        """Nothing was done yet."""
        self.seconds: list[float] = []
        """How long each answer over HTTP took."""
        self.faults: list[str] = []

    def answered(self, seconds: float) -> None:
        """Note an answer, right or wrong."""
        self.seconds.append(seconds)

    def fault(self, text: str) -> None:
        """Note an error. Raises LoadError at the last of many."""
        self.faults.append(text)
        if len(self.faults) >= MOST_FAULTS:
            raise LoadError(f"{len(self.faults)} errors, the first: {self.faults[0]}")
