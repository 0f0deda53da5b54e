"""How messages wait whose class or student is not there yet, and are read again."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from rules.dead_letters.messages import DeadLetter, Reason
from rules.errors import ValidationFailedError
from rules.models import Delivery, ParseSuggestions, Policy, Record

#: Seconds between the tries of a parked message; the last holds for all that follow.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 5.0)


def read_again(
    records: Iterable[Record], parse: ParseSuggestions
) -> tuple[list[Delivery], list[DeadLetter]]:
    """Read parked records: this version may be stricter than the one that parked them."""
    deliveries: list[Delivery] = []
    unreadable: list[DeadLetter] = []
    for record in records:
        try:
            deliveries.append(Delivery(record, parse(record)))
        except ValidationFailedError as error:
            unreadable.append(DeadLetter(record, Reason.INVALID, error.detail))
    return deliveries, unreadable


def first_pause(policy: Policy) -> timedelta:
    """Return how long a message waits before it is tried for the second time."""
    return min(pause(0), policy.suggestion_retry)


def pause(tries: int) -> timedelta:
    """Return how long a parked message waits that has been tried again so many times."""
    return timedelta(seconds=_PAUSES[min(tries, len(_PAUSES) - 1)])
