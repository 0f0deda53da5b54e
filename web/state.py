"""The state in the aiohttp application, for the middleware and the views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web
from faust.web.base import Web
from faust.web.drivers.aiohttp import Web as AiohttpWeb

from store.slots import Slots
from web.deadline import Deadline
from web.documents.served import ServedDocument
from web.held import HeldBytes
from web.identity import Access, Gate
from web.in_flight import InFlight
from web.operations import Operation
from web.services import WebServices
from web.unavailable import UnavailableReport

UNMATCHED: Final = "unmatched"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request asks for; `template` is its path's name in logs and metrics.

    `operation` is None where the service has none. `allow` are the methods of the path. What the
    operation says of itself is looked up once, not for each request: whether it is
    `is_for_operators`, whether it `writes`, `takes_body`, `needs_place`, and whether it `is_page`.
    """

    template: str
    access: Access
    operation: Operation | None = None
    allow: str = ""
    is_for_operators: bool = False
    writes: bool = False
    takes_body: bool = False
    needs_place: bool = False
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class WebState:
    """Set when the routes are installed; `endpoints` has methods and aiohttp's canonical paths."""

    services: WebServices
    gate: Gate
    endpoints: Mapping[tuple[str, str], Endpoint]
    deadline: Deadline
    held: HeldBytes
    in_flight: InFlight
    large_reads: Slots
    uploads: Slots
    unavailable: UnavailableReport
    openapi: ServedDocument


STATE: Final = web.AppKey("class_management", WebState)


def application(faust_web: Web) -> web.Application:
    """Return the aiohttp application behind Faust's web server."""
    return cast("AiohttpWeb", faust_web).web_app
