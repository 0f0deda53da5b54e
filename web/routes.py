"""Registers the operations on Faust's web server."""

import re
from collections.abc import Sequence
from typing import Final

from faust.types import AppT
from faust.web.base import Web

from store.slots import Slots, undivided
from web.deadline import Deadline
from web.documents.openapi import document
from web.documents.served import ServedDocument
from web.held import HeldBytes
from web.operations import Operation
from web.server import use_limits
from web.services import WebServices
from web.state import STATE, Endpoint, WebState, application
from web.table import OPERATIONS
from web.unavailable import UnavailableReport
from web.views.base import PathView, views

# Any text may replace an id, so that the answer can say what is wrong with it. Only "students" and
# "confirm" are other paths: a GET of one must name the right method.
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_ANY_TEXT: Final = r"{\1:(?!(?:students|confirm)(?:/|$))[^/]+}"


def install(
    web: Web, app: AppT, services: WebServices, operations: Sequence[Operation] = OPERATIONS
) -> None:
    """Register operations on `web` (`app.web`), with and without a trailing slash.

    Call this once, after building the App with middleware.application_options() and before its
    server starts.
    """
    config = services.config
    limits = config.limits
    application(web)[STATE] = WebState(
        services,
        _endpoints(operations),
        Deadline(config.timeout_seconds),
        HeldBytes(limits.held_bytes),
        Slots(limits.large_reads, undivided(limits.large_reads)),
        UnavailableReport(services.metrics),
        ServedDocument(lambda: document(operations)),
    )
    use_limits(web, limits, services.metrics)
    for view_class in views(operations):
        _register(web, view_class(app, web))
    for operation in operations:
        services.metrics.expect_requests(operation.method, operation.path)


def _endpoints(operations: Sequence[Operation]) -> dict[tuple[str, str], Endpoint]:
    endpoints: dict[tuple[str, str], Endpoint] = {}
    for one in operations:
        endpoint = Endpoint(one.path, one.access, one)
        for method in ("GET", "HEAD") if one.method == "GET" else (one.method,):
            endpoints |= dict.fromkeys(((method, one.path), (method, f"{one.path}/")), endpoint)
    return endpoints


def _register(web: Web, view: PathView) -> None:
    pattern = _VARIABLE.sub(_ANY_TEXT, view.view_path)
    web.route(pattern, view)
    web.route(f"{pattern}/", view)
    web.views[view.view_path] = view
    web.reverse_names[type(view).__name__] = view.view_path
