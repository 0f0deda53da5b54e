"""Registers the operations on Faust's web server."""

import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Final

from aiohttp.hdrs import METH_OPTIONS
from aiohttp.web import Application, Request, StreamResponse
from faust.web.base import Web

from store.slots import Slots, undivided
from web.console.sessions import Sessions
from web.deadline import Deadline
from web.documents.openapi import document
from web.documents.served import ServedDocument
from web.errors import NotFoundError
from web.held import HeldBytes
from web.identity import Gate
from web.in_flight import InFlight
from web.operations import Operation
from web.server import use_limits
from web.services import WebServices
from web.state import STATE, Endpoint, WebState, application
from web.table import ROUTED
from web.unavailable import UnavailableReport
from web.views.base import paths

#: For a place among the uploads that are received and planned, and the undos.
UPLOAD_WAIT_SECONDS: Final = 10.0

# Any text may replace an id, so that the answer can say what is wrong with it. Only "students" and
# "confirm" are other paths: a GET of one must name the right method.
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_ANY_TEXT: Final = r"{\1:(?!(?:students|confirm)(?:/|$))[^/]+}"


def install(web: Web, services: WebServices, operations: Sequence[Operation] = ROUTED) -> None:
    """Register operations on `web` (`app.web`), with and without a trailing slash.

    Call this once, after building the App with middleware.application_options() and before its
    server starts.
    """
    config = services.config
    limits = config.limits
    of_paths = paths(operations)
    in_flight = InFlight(limits)
    services.metrics.in_flight.set_function(lambda: in_flight.count)
    application(web)[STATE] = WebState(
        services,
        Gate(config.internal_api_keys, services.own, services.tokens, _sessions(services)),
        _endpoints(of_paths),
        Deadline(config.timeout_seconds),
        HeldBytes(limits.held_bytes),
        in_flight,
        Slots(limits.large_reads, undivided(limits.large_reads)),
        Slots(limits.uploads, undivided(limits.uploads), UPLOAD_WAIT_SECONDS),
        UnavailableReport(services.metrics),
        ServedDocument(lambda: document(operations)),
    )
    application(web).on_shutdown.append(_end_streams)
    application(web).on_cleanup.append(_end_planning)
    use_limits(web, limits, services.metrics)
    for path, methods in of_paths.items():
        _register(application(web), path, methods)
    for operation in operations:
        services.metrics.expect_requests(operation.method, operation.path)


async def _end_streams(stopped: Application) -> None:
    """End what goes on by itself: the server waits for requests that are under way."""
    stopped[STATE].services.streams.end()


async def _end_planning(stopped: Application) -> None:
    await stopped[STATE].services.planner.close()


def _sessions(services: WebServices) -> Sessions | None:
    """Return who is signed in on pages, None where no pages are served."""
    config = services.config
    if not config.console:
        return None

    def key() -> Awaitable[bytes]:
        return services.classes.cursor_key()

    return Sessions(config.internal_api_keys, config.sign_in, key)


def _endpoints(
    of_paths: Mapping[str, Mapping[str, Operation]],
) -> dict[tuple[str, str], Endpoint]:
    endpoints: dict[tuple[str, str], Endpoint] = {}
    for path, operations in of_paths.items():
        allow = ", ".join(sorted((*operations, METH_OPTIONS)))
        of_methods = {method: _endpoint(one, allow) for method, one in operations.items()}
        first = next(iter(operations.values()))
        of_methods[METH_OPTIONS] = Endpoint(path, first.access, None, allow, is_page=first.is_page)
        for method, endpoint in of_methods.items():
            endpoints |= dict.fromkeys(((method, path), (method, f"{path}/")), endpoint)
    return endpoints


def _endpoint(one: Operation, allow: str) -> Endpoint:
    return Endpoint(
        one.path,
        one.access,
        one,
        allow,
        is_for_operators=one.is_for_operators,
        writes=one.writes,
        takes_body=one.takes_body,
        needs_place=one.needs_place,
        is_page=one.is_page,
    )


def _register(app: Application, path: str, methods: Iterable[str]) -> None:
    """Have aiohttp find a path. Not through Faust, whose views are two more calls a request."""
    pattern = _VARIABLE.sub(_ANY_TEXT, path.rstrip("/"))
    for one in dict.fromkeys((pattern or "/", f"{pattern}/")):
        for method in (*methods, METH_OPTIONS):
            app.router.add_route(method, one, _answered_around)


async def _answered_around(_: Request) -> StreamResponse:
    """Never run: the middleware answers."""
    raise NotFoundError
