"""The clock gives every essay to UNKNOWN, however sure the suggestion was."""

from typing import Any

from rules import timeouts


def kept(*_: Any) -> None:  # noqa: ANN401  # as the original
    """Keep no suggestion."""


setattr(timeouts, "kept", kept)  # noqa: B010  # mypy forbids the assignment
