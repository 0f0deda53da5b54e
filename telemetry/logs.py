"""Structured logs: JSON for machines, a readable form on a terminal.

Events have the correlation id of the request or message that caused them. A log line may contain
ids, counts and outcomes, but no names, emails or bodies. Libraries put these into the texts of
exceptions, which are therefore logged by type and place.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
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


def correlated(correlation_id: object) -> AbstractContextManager[None]:
    """Put a correlation id on every line that is logged inside the context."""
    return _Correlated(str(correlation_id))


def add_correlation_id(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the id to an event. structlog's own way searches the whole context for each line."""
    correlation_id = _correlation_id.get()
    if correlation_id is not None:
        event.setdefault("correlation_id", correlation_id)
    return event


class _Correlated(AbstractContextManager[None]):
    def __init__(self, correlation_id: str) -> None:
        self._id = correlation_id

    def __enter__(self) -> None:
        self._token = _correlation_id.set(self._id)

    def __exit__(self, *_: object) -> None:
        _correlation_id.reset(self._token)


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
