"""What the broker refuses for good is tried for ever, and its shard of the outbox waits."""

from agents.kafka import producer


def refusal_of(_: BaseException) -> None:
    """Take every failure for one that passes."""


setattr(producer, "refusal_of", refusal_of)  # noqa: B010  # mypy does not see the name
