"""Says on a page that Kafka's topics cannot be read right now."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from web.calls import Call
from web.console.desk import Desk, TopicsAwayError, TopicsBusyError
from web.console.rendering import page
from web.errors import NotFoundError
from web.services import WebServices

DeskHandler: TypeAlias = Callable[[Desk, Call], Awaitable[web.Response]]
PageHandler: TypeAlias = Callable[[WebServices, Call], Awaitable[web.Response]]


def with_topics(handler: DeskHandler) -> PageHandler:
    """Have a page that reads topics say when they cannot be read."""

    @wraps(handler)
    async def handled(services: WebServices, call: Call) -> web.Response:
        try:
            return await handler(desk_of(services), call)
        except TopicsAwayError as error:
            return await _away(call, error)

    return handled


def desk_of(services: WebServices) -> Desk:
    """Return what operators need. Raises NotFoundError where they have no pages."""
    if services.desk is None:
        raise NotFoundError
    return services.desk


async def _away(call: Call, error: TopicsAwayError) -> web.Response:
    response = await page(
        call,
        "operations/topics_away.html",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        is_busy=isinstance(error, TopicsBusyError),
        detail=str(error),
        can_retry=call.request.method == "GET",
    )
    response.headers["Retry-After"] = "1"
    return response
