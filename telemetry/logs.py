"""Structured logs: JSON for machines, a readable form on a terminal.

Events have the correlation id of the request or message that caused them. A log line may contain
ids, counts and outcomes, but no names, emails or bodies. Libraries put these into the texts of
exceptions, which are therefore logged by type and place.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog
from structlog.typing import Processor

from telemetry.limits import LineLimit

EventDict = MutableMapping[str, Any]

#: Lines from one place in a library's code within this time; more are counted.
REPEATS: Final = 3
REPEATS_SECONDS: Final = 10.0

_correlation_id: Final = ContextVar[str | None]("correlation_id", default=None)

_NOISY: Final = {
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "kafka": logging.WARNING,
    "alembic": logging.WARNING,
}


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return logger


class LineLogger:
    """Logs one kind of line for each request.

    In JSON it is written here: structlog's chain of processors takes four times as long.
    """

    def __init__(self, name: str) -> None:
        """`name` is that of the module."""
        self._name = name
        self._logger = get_logger(name)

    def log(self, level: int, event: str, **members: object) -> None:
        """Log a line at DEBUG or INFO. The values are of types that JSON has."""
        if _json_lines is None:
            self._logger.log(level, event, **members)
        elif level >= _json_lines.least:
            line = {"source": self._name, **members, "event": event}
            _json_lines.write(line, "info" if level == logging.INFO else "debug")


class _JsonLines:
    """Writes lines of JSON as structlog does, with the same members in the same order."""

    def __init__(self, least: int) -> None:
        """`least` is the lowest level that is logged."""
        self.least = least
        self._write = structlog.BytesLogger(sys.stderr.buffer).msg

    def write(self, line: dict[str, object], level: str) -> None:
        correlation_id = _correlation_id.get()
        if correlation_id is not None:
            line["correlation_id"] = correlation_id
        line["level"] = level
        line["timestamp"] = datetime.now(UTC)
        self._write(orjson.dumps(line, option=orjson.OPT_UTC_Z))


#: Where lines are written in JSON.
_json_lines: _JsonLines | None = None


def correlate(correlation_id: str) -> None:
    """Put an id on every line that this task, and those that it starts from now on, log."""
    _correlation_id.set(correlation_id)


def add_correlation_id(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the id to an event. structlog's own way searches the whole context for each line."""
    correlation_id = _correlation_id.get()
    if correlation_id is not None:
        event.setdefault("correlation_id", correlation_id)
    return event


def setup_logging(level: str, *, json: bool) -> None:
    """Send all logs of this process and its libraries to standard error in one form.

    The service's own loggers bypass `logging`, which costs more than the request that is logged.
    """
    shared: list[Processor] = [
        add_correlation_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_values,
    ]
    global _json_lines  # noqa: PLW0603  # like structlog's configuration
    _json_lines = _JsonLines(logging.getLevelName(level)) if json else None
    structlog.configure(
        processors=[*shared, _json_bytes if json else _console()],
        logger_factory=(
            structlog.BytesLoggerFactory(sys.stderr.buffer)
            if json
            else structlog.PrintLoggerFactory(sys.stderr)
        ),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    _setup_libraries(level, shared, _json_text if json else _console())


def _setup_libraries(level: str, shared: Sequence[Processor], renderer: Processor) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library_source, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, floor in _NOISY.items():
        logging.getLogger(name).setLevel(max(floor, logging.getLevelName(level)))


def _library_source(_logger: object, _method: str, event: EventDict) -> EventDict:
    record = event["_record"]
    event["source"] = record.name
    if left_out := getattr(record, "left_out", 0):
        event["left_out"] = left_out
    return event


class _Repeats(logging.Filter):
    """Leaves out most of what libraries say hundreds of times while a dependency is away.

    A kind is a place in a library's code: the texts differ in ports, times and node ids.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = LineLimit(REPEATS, REPEATS_SECONDS)

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass debugging, and the first lines of each kind; the next one says how many followed."""
        if record.levelno < logging.WARNING:
            return True
        left_out = self._lines.passes((record.name, record.pathname, record.lineno))
        record.left_out = left_out
        return left_out is not None


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _json_bytes(_logger: object, _method: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str)


def _json_text(_logger: object, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


def _exception_without_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and its traceback's places."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = " < ".join(map(_named, _chain(error)))
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        event["at"] = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(frames))
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Iterate over an exception and its causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _named(error: BaseException) -> str:
    """Name an exception by its type and PostgreSQL's code."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    state = getattr(error, "sqlstate", None)
    return f"{name} ({state})" if isinstance(state, str) else name


def _exception(exc_info: object) -> BaseException | None:
    """Return the exception of a log call's `exc_info`: one itself, a tuple, or True."""
    if isinstance(exc_info, tuple):
        return next((part for part in exc_info if isinstance(part, BaseException)), None)
    if isinstance(exc_info, BaseException):
        return exc_info
    return sys.exc_info()[1] if exc_info else None
