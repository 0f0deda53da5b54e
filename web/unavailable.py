"""Why requests are answered 503: a counter by cause, and a line now and then."""

from typing import Final

from rules.errors import Cause, ServiceError, UnavailableError
from telemetry.limits import LineLimit
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

#: Between two lines about one cause.
LINE_SECONDS: Final = 10.0

_log: Final = get_logger(__name__)


class UnavailableReport:
    """Tells operators what callers are not told."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.unavailable
        self._lines = LineLimit(1, LINE_SECONDS)

    def add(self, error: ServiceError) -> None:
        """Count an error that is answered 503, and log it unless its cause was just logged."""
        cause = error.cause if isinstance(error, UnavailableError) else Cause.OTHER
        self._count.labels(cause.value).inc()
        left_out = self._lines.passes(cause)
        if left_out is not None:
            _log.warning(
                "requests answered 503", cause=cause.value, left_out=left_out, exc_info=error
            )
