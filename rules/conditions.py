"""What a request makes its effect depend on: that what it changes is what the caller knows."""

from dataclasses import dataclass

from rules.errors import PreconditionFailedError


@dataclass(frozen=True, slots=True)
class Condition:
    """Something is changed only as long as its tag (rules.tags) is one of these.

    A store checks it under the locks with which it writes, where nothing else can come in between.
    What is absent is absent, whatever the condition; before all else that could be wrong with the
    request comes the condition.
    """

    tags: frozenset[str]

    def check(self, tag: str) -> None:
        """Compare with the tag of what is there. Raises PreconditionFailedError."""
        if tag not in self.tags:
            raise PreconditionFailedError
