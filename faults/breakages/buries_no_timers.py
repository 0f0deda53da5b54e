"""A timer that cannot be read is passed over without a word."""

from typing import Any

from agents.consumers import timers


async def dead_letter(*_: Any, **__: Any) -> None:  # noqa: ANN401  # as the original
    """Forget it."""


setattr(timers, "dead_letter", dead_letter)  # noqa: B010  # mypy forbids the assignment
