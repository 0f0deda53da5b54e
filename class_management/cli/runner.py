"""Runs commands: settings, exit codes, and the line that reports an error."""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import click

from class_management.settings import PREFIX, LogFormat, Settings, SettingsError, load_settings

EXIT_OK: Final = 0
#: A negative result, as of diff and grep: "they differ", "some were rejected".
EXIT_NO: Final = 1
EXIT_TROUBLE: Final = 2

#: How long a server that does not answer is waited for, unless `--connect-timeout` says otherwise.
CONNECT_SECONDS: Final = 10.0
#: After which a person is told what a command waits for.
SILENT_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = f"{__name__}.connect_seconds"

_NO_SETTINGS: Final = (
    f"no {PREFIX} setting is given, so that is the default address: `make run` writes its own to "
    ".run/stack.env (set -a; . .run/stack.env)"
)


class TroubleError(Exception):
    """The command cannot be carried out; the message is one line for a person."""


def run(work: Callable[[Settings], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run a command and end with its exit code, or with a line and EXIT_TROUBLE."""
    import asyncio
    import logging

    import structlog

    # The TroubleError repeats what aiokafka logs about an unreachable broker, and commands have
    # lines of their own for what the service logs.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = read_settings()
    try:
        sys.exit(asyncio.run(work(settings)))
    except SettingsError as error:
        fail(str(error))
    except TroubleError as error:
        warn(str(error))
        if error.__cause__ is not None and not settings.model_fields_set:
            warn(_NO_SETTINGS)
        sys.exit(EXIT_TROUBLE)


@asynccontextmanager
async def answering(server: str) -> AsyncIterator[None]:
    """Say what is waited for, and for how long; in the end raise TroubleError."""
    import asyncio

    seconds = connect_seconds()
    told = asyncio.get_running_loop().call_later(
        SILENT_SECONDS, warn, f"waiting for {server}, up to {seconds:g} s"
    )
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TroubleError(f"{server} does not answer within {seconds:g} s") from error
    finally:
        told.cancel()


def connect_seconds() -> float:
    """Return how long a server that does not answer is waited for."""
    seconds: float = click.get_current_context().meta.get(_CONNECT_SECONDS, CONNECT_SECONDS)
    return seconds


def set_connect_seconds(seconds: float | None) -> None:
    """Set it for the running command, if it was given."""
    if seconds is not None:
        click.get_current_context().meta[_CONNECT_SECONDS] = seconds


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
