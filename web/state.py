"""The state in the aiohttp application, for the middleware and the views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web
from faust.web.base import Web
from faust.web.drivers.aiohttp import Web as AiohttpWeb

from store.slots import Slots
from web.deadline import Deadline
from web.held import HeldBytes
from web.identity import Access
from web.services import WebServices
from web.unavailable import UnavailableReport

UNMATCHED: Final = "unmatched"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of the service; `template` is its name in logs and metrics.

    `is_large` says that what is read there may have megabytes.
    """

    template: str
    access: Access
    body_limit: int
    is_large: bool = False

    @property
    def is_operations(self) -> bool:
        """Whether it says how the process is: answered also when others have to wait."""
        return self.access is Access.ANYBODY and self.template != UNMATCHED


@dataclass(frozen=True, slots=True)
class WebState:
    """Set when the routes are installed; `endpoints` has aiohttp's canonical paths as keys."""

    services: WebServices
    endpoints: Mapping[str, Endpoint]
    deadline: Deadline
    held: HeldBytes
    large_reads: Slots
    unavailable: UnavailableReport


STATE: Final = web.AppKey("class_management", WebState)


def application(faust_web: Web) -> web.Application:
    """Return the aiohttp application behind Faust's web server."""
    return cast("AiohttpWeb", faust_web).web_app
