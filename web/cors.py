"""Which pages of other origins a browser lets call the service (CORS, in the Fetch standard).

aiohttp-cors, which Faust brings, makes routes of its own for preflights: these would run into the
question who is calling, which a preflight cannot answer, and repeat the methods that the table has.
"""

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.hdrs import METH_OPTIONS

from web.answers import vary
from web.identity import INTERNAL, PAGES
from web.state import Endpoint

_TAKEN: Final = ", ".join(
    (
        *("X-User-ID", "Authorization", "Content-Type", "Idempotency-Key", "If-Match"),
        *("If-None-Match", "X-Correlation-ID", "traceparent", "Last-Event-ID"),
    )
)
_SHOWN: Final = ", ".join(
    (
        *("ETag", "Location", "X-Correlation-ID", "Retry-After", "Idempotent-Replayed"),
        *("Dry-Run", "Allow"),
    )
)
#: For which a browser need not ask again: Chromium's longest.
_SECONDS: Final = "7200"


def share(
    origins: Collection[str], endpoint: Endpoint, request: web.Request, response: web.StreamResponse
) -> None:
    """Let pages of these origins read the answer, unless it is an internal one or a page.

    Callers are known by headers, which a page has to set itself: no cookies count, so no leave is
    given for them (`Access-Control-Allow-Credentials`).
    """
    if not origins or endpoint.is_page or endpoint.access in INTERNAL | PAGES:
        return
    vary(response, "Origin")
    given = request.headers.getall("Origin", ())
    if len(given) != 1 or given[0] not in origins:
        return
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = given[0]
    headers["Access-Control-Expose-Headers"] = _SHOWN
    if request.method == METH_OPTIONS and endpoint.allow:
        headers["Access-Control-Allow-Methods"] = endpoint.allow
        headers["Access-Control-Allow-Headers"] = _TAKEN
        headers["Access-Control-Max-Age"] = _SECONDS
