"""What is refused before the middleware sees a request, in the form of every other error."""

from http import HTTPStatus
from typing import Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from rules.errors import ServiceError
from rules.ids import new_id
from telemetry.limits import LineLimit
from telemetry.logs import get_logger
from telemetry.metrics import Metrics
from web.answers import stamp
from web.errors import BadRequestError
from web.problems import problem_answer
from web.state import UNMATCHED

#: Lines about one status within this time; more are counted.
LINES: Final = 10
LINES_SECONDS: Final = 10.0

_EXPECTATION: Final = "The only expectation that is met is 100-continue."
_TOO_LONG: Final = "The request line or a header is too long."
_METHOD: Final = "other"

_access_log: Final = get_logger("web.access")


class RefusalReport:
    """Counts and logs what the middleware does not see, as it would; a flood of it is cut short."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lines = LineLimit(LINES, LINES_SECONDS)

    def add(self, response: web.StreamResponse) -> None:
        """Note an answer."""
        status = response.status
        self._metrics.answered(_METHOD, UNMATCHED, status, 0.0)
        left_out = self._lines.passes(status)
        if left_out is not None:
            _access_log.info(
                "request",
                method=_METHOD,
                route=UNMATCHED,
                status=status,
                left_out=left_out,
                correlation_id=response.headers["X-Correlation-ID"],
            )


def refusal(status: int, error: BaseException | None, max_line_size: int) -> ServiceError:
    """Return what is wrong with a request that aiohttp refuses; a plain ServiceError if it is us.

    aiohttp's own messages are not repeated: they quote what was sent.
    """
    if isinstance(error, LineTooLong):
        is_line = error.args[1] == max_line_size
        fields = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return BadRequestError(HTTPStatus.REQUEST_URI_TOO_LONG if is_line else fields, _TOO_LONG)
    if status == HTTPStatus.EXPECTATION_FAILED:
        return BadRequestError(status, _EXPECTATION)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return BadRequestError(status)
    return ServiceError()


def refused(error: ServiceError) -> web.Response:
    """Return the answer to a request that is not known well enough for the middleware."""
    correlation_id = new_id()
    response = problem_answer(error, "/", correlation_id)
    stamp(response, str(correlation_id))
    response.force_close()
    # aiohttp answers as HTTP/1.0 where it has understood nothing, and leaves this out there.
    response.headers["Connection"] = "close"
    return response


def as_bytes(response: web.Response) -> bytes:
    """Return an answer as it goes over the wire, for where there is no request."""
    body = cast("bytes", response.body)
    head = [f"HTTP/1.1 {response.status} {response.reason}", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body
