"""A batch of commands is executed from its end: students before their class."""

from collections.abc import Iterator, Sequence

from rules.commands.orders import Command
from rules.commands.runs import Run, runs
from store.postgres import commands


def backwards(some: Sequence[Command]) -> Iterator[Run]:
    """Execute the commands in reverse."""
    return reversed(list(runs(some)))


setattr(commands, "runs", backwards)  # noqa: B010  # mypy does not see the name
