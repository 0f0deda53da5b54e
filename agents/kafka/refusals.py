"""Which of a broker's answers are about the message itself, so that waiting does not help.

A missing topic, a missing ACL or a wrong clock are states that people mend: messages wait for that.
"""

from typing import Final

from aiokafka import errors
from aiokafka.errors import (
    BrokerResponseError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from store.protocols.outbox import Refusal


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """The broker does not take a record, such as one without a key for a compacted topic."""

    errno = 87
    message = "INVALID_RECORD"
    description = "This record has failed the validation on broker and hence will be rejected."


# aiokafka does not know the code, and takes it for an unknown error.
errors.kafka_errors.setdefault(InvalidRecordError.errno, InvalidRecordError)

_REFUSALS: Final = {
    MessageSizeTooLargeError.errno: Refusal.TOO_LARGE,
    RecordListTooLargeError.errno: Refusal.TOO_LARGE,
    InvalidRecordError.errno: Refusal.INVALID,
}


def refusal_of(error: BaseException | None) -> Refusal | None:
    """Return why the broker refuses a message for good, None if it may take it later."""
    return _REFUSALS.get(error.errno) if isinstance(error, BrokerResponseError) else None
