"""A batch of commands is carried out from its end: students before their class."""

from collections.abc import Iterator, Sequence

from rules import command_runs
from rules.commands import Command
from store.postgres import commanding


def runs(commands: Sequence[Command]) -> Iterator[command_runs.Run]:
    """Go backwards."""
    return reversed(list(command_runs.runs(commands)))


setattr(commanding, "runs", runs)  # noqa: B010  # mypy does not see it there
