"""How messages wait for a class or student that does not exist yet, and are read again."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from rules.dead_letters.messages import DeadLetter, unreadable
from rules.errors import ValidationFailedError
from rules.models import Delivery, ParseSuggestions, Policy, Record

#: Seconds between the tries of a parked message; the last applies to all later ones.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 5.0)


def read_again(
    records: Iterable[Record], parse: ParseSuggestions
) -> tuple[list[Delivery], list[DeadLetter]]:
    """Read parked records: this version may be stricter than the one that parked them."""
    deliveries: list[Delivery] = []
    refused: list[DeadLetter] = []
    for record in records:
        try:
            deliveries.append(Delivery(record, parse(record)))
        except ValidationFailedError as error:
            refused.append(unreadable(record, error))
    return deliveries, refused


def first_pause(policy: Policy) -> timedelta:
    """Return how long a message waits before its second try."""
    return min(pause(0), policy.suggestion_retry)


def pause(tries: int) -> timedelta:
    """Return how long a parked message waits after this number of retries."""
    return timedelta(seconds=_PAUSES[min(tries, len(_PAUSES) - 1)])
