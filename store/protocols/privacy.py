"""Personal data: shown to whom it is of, and erased."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from rules.personal.subjects import Report, Subject

#: Is told the table and how many of its rows were just erased.
Told: TypeAlias = Callable[[str, int], None]


class NothingStoredError(LookupError):
    """Nothing is stored of this user or student."""


class BeingErasedError(RuntimeError):
    """Another run erases the same one at this moment."""


class PrivacyProtocol(Protocol):
    """What is stored of a user or of a student."""

    async def counts(self, subject: Subject) -> Mapping[str, int]:
        """Return how many rows have something of it, by table; only those with any."""

    def export(self, subject: Subject) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        """Yield each table's name with a row of it, all of one moment.

        Of a student without what the rows tell of others.
        """

    async def erase(self, subject: Subject, told: Told, patience_seconds: float) -> Report:
        """Erase everything of it, in many transactions; what is left is pseudonyms.

        What others have under way is waited for, up to `patience_seconds` each.

        Killed and called again it goes on. A student's essays are UNKNOWN's then; of a user all
        classes and students are deleted. The deletions are published.

        Raises NothingStoredError, BeingErasedError, and PlaceholderError for an UNKNOWN student.
        """
