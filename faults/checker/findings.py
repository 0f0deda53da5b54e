"""What the checker has to say."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """In which way a promise was broken."""

    LOST = "lost"
    """It was acknowledged, or accepted by Kafka, and is not there."""
    DOUBLED = "doubled"
    """It took effect, or was published, more than once."""
    REORDERED = "reordered"
    """What came later took effect, or was published, first."""
    EARLY = "early"
    """A batch was decided or closed before its time."""
    STUCK = "stuck"
    """It is still on its way, although everything had time to settle."""
    UNASKED = "unasked"
    """It is there, and was not requested, or was refused."""
    ALTERED = "altered"
    """It is there with another content."""
    BROKEN = "broken"
    """The service answered what it never may."""


@dataclass(frozen=True)
class Finding:
    """One broken promise; `at` is when what it is about began, where that is known."""

    kind: Kind
    what: str
    at: float | None = None
