"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from class_management.cli.runner import CONNECT_SECONDS, set_connect_seconds

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

DEFAULT_PATIENCE_SECONDS: Final = 30.0


def all_of(*options: Callable[[Any], Any]) -> Callable[[CommandT], CommandT]:
    """Return one decorator for several options, which `--help` lists in this order."""

    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def json_option(help_text: str) -> Callable[[CommandT], CommandT]:
    """Return `--json`, which is `as_json` in the command."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def wait_options(no_wait: str, timeout: str) -> Callable[[CommandT], CommandT]:
    """Return `--no-wait` and `--timeout`, which is `patience` in the command, in seconds."""
    return all_of(
        click.option("--no-wait", is_flag=True, help=no_wait),
        click.option(
            "--timeout",
            "patience",
            type=click.FloatRange(min=0, min_open=True),
            default=DEFAULT_PATIENCE_SECONDS,
            show_default=True,
            help=timeout,
        ),
    )


#: `--connect-timeout`, by which `runner.answering` goes.
connect_option: Final = click.option(
    "--connect-timeout",
    type=click.FloatRange(min=0, max=3600, min_open=True),
    metavar="SECONDS",
    expose_value=False,
    callback=lambda _context, _parameter, seconds: set_connect_seconds(seconds),
    help=f"How long to wait for a server that does not answer, by default {CONNECT_SECONDS:g} s.",
)
