"""Structured logs: JSON for machines, a readable form on a terminal.

Events carry the correlation id of the request or message that caused them. What a log line may
say is ids, counts and outcomes; names, emails and bodies stay out, also those that a library
puts into an exception's text, which is why exceptions are logged by type and place.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Final

import structlog
from structlog.contextvars import bound_contextvars

EventDict = MutableMapping[str, Any]

_NOISY: Final = {
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "kafka": logging.WARNING,
    "alembic": logging.WARNING,
}


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def correlated(correlation_id: object) -> AbstractContextManager[None]:
    """Put a correlation id on every line that is logged inside the context."""
    return bound_contextvars(correlation_id=str(correlation_id))


def setup_logging(level: str, *, json: bool) -> None:
    """Send every logger of the process to standard error in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_values,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, floor in _NOISY.items():
        logging.getLogger(name).setLevel(max(floor, logging.getLevelName(level)))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _exception_without_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the places that it came through."""
    error = _exception(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = f"{type(error).__module__}.{type(error).__qualname__}"
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        event["at"] = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(frames))
    return event


def _exception(exc_info: object) -> BaseException | None:
    """Return the exception of a log call's `exc_info`: one itself, a tuple, or True."""
    if isinstance(exc_info, tuple):
        return next((part for part in exc_info if isinstance(part, BaseException)), None)
    if isinstance(exc_info, BaseException):
        return exc_info
    return sys.exc_info()[1] if exc_info else None
