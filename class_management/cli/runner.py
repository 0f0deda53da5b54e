"""Runs commands: settings, exit codes, and the line that reports an error."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import click

from class_management.settings import LogFormat, Settings, SettingsError, load_settings

EXIT_OK: Final = 0
#: A negative result, as of diff and grep: "they differ", "some were rejected".
EXIT_NO: Final = 1
EXIT_TROUBLE: Final = 2


class TroubleError(Exception):
    """The command cannot be carried out; the message is one line for a person."""


def run(work: Callable[[Settings], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run a command and end with its exit code, or with a line and EXIT_TROUBLE."""
    import asyncio
    import logging

    # The TroubleError repeats what aiokafka logs about an unreachable broker.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        sys.exit(asyncio.run(work(read_settings())))
    except (SettingsError, TroubleError) as error:
        fail(str(error))


def read_settings() -> Settings:
    """Read the settings, or end with a line that names the fault."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error))


def setup_logs(settings: Settings) -> None:
    """Send logs to standard error, as text on a terminal."""
    from telemetry.logs import setup_logging

    on_terminal = settings.log_format is LogFormat.AUTO and sys.stderr.isatty()
    as_text = on_terminal or settings.log_format is LogFormat.TEXT
    setup_logging(settings.log_level.value, json=not as_text)


def fail(message: str) -> NoReturn:
    """End with a line on standard error and EXIT_TROUBLE."""
    warn(message)
    sys.exit(EXIT_TROUBLE)


def warn(message: str) -> None:
    """Print a line on standard error."""
    click.echo(f"class-management: {message}", err=True)


def reason(error: BaseException) -> str:
    """Return the text of an exception, or its type if it has none."""
    return str(error) or type(error).__name__
