"""What the reasons of dead letters mean, and what a person can do about each.

docs/operating.md has the same table; a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rules.dead_letters.messages import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, and what to do."""

    meaning: str
    remedy: str


#: For a reason that this version does not know: another version or program wrote the letter.
UNKNOWN: Final = Explanation(
    "this version does not know the reason", "Look at it with the version that wrote it."
)

#: For a record without a reason.
ABSENT: Final = Explanation(
    "it says no reason: something other than this service wrote it",
    "Find out who did; replay it where it is a message that the service should have handled.",
)

EXPLANATIONS: Final[Mapping[Reason, Explanation]] = MappingProxyType(
    {
        Reason.UNREADABLE: Explanation(
            "not JSON, not UTF-8, empty",
            "Have the sender send it rightly, then drop it. A replay fails again.",
        ),
        Reason.UNDECODABLE: Explanation(
            "a record batch that Kafka returned damaged, or in a form that is not known, in three "
            "fetches over 10 s; `dlt-offset` and `dlt-last-offset` say where it lies",
            "Have its sender send again what it sent then; drop it. It has nothing to replay.",
        ),
        Reason.INVALID: Explanation(
            "JSON of another form; `dlt-exception` names the members. Of a command: its name, its "
            "user or its ids cannot be read; other mistakes are results",
            "Have the sender send it rightly, then drop it. Replay it where a newer version of "
            "the service reads it.",
        ),
        Reason.CLASS_NOT_FOUND: Explanation(
            "no such class after `SUGGESTION_RETRY_SECONDS`",
            "Replay it once the class is there; drop it where the class was deleted.",
        ),
        Reason.CLASS_DELETED: Explanation(
            "the class of the message, or of its batch, was deleted",
            "Drop it: the batch was closed with the deletion. A replay fails again.",
        ),
        Reason.BATCH_CLOSED: Explanation(
            "every essay of the batch was decided before",
            "Drop it: a closed batch stays closed. A replay fails again.",
        ),
        Reason.BATCH_OF_ANOTHER_CLASS: Explanation(
            "the batch belongs to another class",
            "Ask the sender which class is right; drop it. A replay fails again.",
        ),
        Reason.BATCH_TOO_LARGE: Explanation(
            "the batch would have more than 2,000 essays",
            "Have the sender make several batches of it, then drop it. A replay fails again.",
        ),
        Reason.REFUSED_BY_DATABASE: Explanation(
            "data that PostgreSQL does not take",
            "Report it with `dlt-exception`; replay it once that is mended.",
        ),
        Reason.PROCESSING_FAILED: Explanation(
            "a defect; `dlt-exception` names its type",
            "Report it; replay it once a version without the defect runs.",
        ),
    }
)


def explanation(reason: str | None) -> Explanation:
    """Return what a `dlt-reason` means."""
    if reason is None:
        return ABSENT
    return EXPLANATIONS[Reason(reason)] if reason in tuple(Reason) else UNKNOWN
