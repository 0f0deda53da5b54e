"""The findings of the checker."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a promise was broken."""

    LOST = "lost"
    """It was acknowledged, or accepted by Kafka, and is missing."""
    DOUBLED = "doubled"
    """It took effect, or was published, more than once."""
    REORDERED = "reordered"
    """Something later took effect, or was published, first."""
    EARLY = "early"
    """A batch was decided or closed before its time."""
    STUCK = "stuck"
    """It is still under way, although everything had time to settle."""
    UNASKED = "unasked"
    """It exists, and was not requested, or was refused."""
    ALTERED = "altered"
    """It exists with different content."""
    DIVERGED = "diverged"
    """Who reads the changes knows something else than what there is, or than Kafka tells."""
    BROKEN = "broken"
    """The service gave a forbidden answer."""


@dataclass(frozen=True)
class Finding:
    """One broken promise; `at` is the beginning of its operation, None if unknown."""

    kind: Kind
    what: str
    at: float | None = None
