"""What all requests have in common.

Correlation id, identity, size and form of the body, deadline, problem details, metrics and the
access log.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from logging import DEBUG, INFO
from time import perf_counter
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from aiohttp.hdrs import METH_OPTIONS
from multidict import istr

from rules.errors import ServiceError, UnavailableError
from rules.ids import new_id_text
from rules.traces import valid_traceparent
from store.client import Client, Share, current_client, work_as
from telemetry.logs import LineLogger, correlate, get_logger
from web.answers import allowed, stamp
from web.bodies import FORM, MAX_BODY, read_body
from web.calls import CALL, Call
from web.compression import compress, is_to_compress
from web.connections import Connection
from web.console.checks import check_form, keep_cookies_secret
from web.console.problems import is_of_console, problem_page
from web.console.uploads import without_file
from web.cors import share
from web.errors import MethodNotAllowedError, NotFoundError, TooManyConnectionsError
from web.held import is_large, send
from web.idempotency import answered, is_trial, key_of
from web.identity import Access, Headers, area_access, identify
from web.notifications.responses import EventStream
from web.operations import Operation
from web.parameters import canonical_uuid
from web.problems import problem_answer
from web.state import STATE, UNMATCHED, Endpoint, WebState
from web.views.base import handle

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Room for the 1,000 ids, with encoded commas, that `batch_ids` takes.
MAX_REQUEST_LINE: Final = 64 * 1024

# How long a refused body is still read, so that its sender sees the answer. A stop waits for it.
LINGERING_SECONDS: Final = 2.0

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_CORRELATION: Final = istr("X-Correlation-ID")
_TRACEPARENT: Final = istr("traceparent")

_access_log: Final = LineLogger("web.access")
_log: Final = get_logger(__name__)


def application_options() -> dict[str, Any]:
    """Return the `web_application_options` of Faust's App; routes.install adds the services."""
    return {
        "client_max_size": MAX_BODY,
        "middlewares": [around_every_request],
        "handler_args": {
            "lingering_time": LINGERING_SECONDS,
            "max_line_size": MAX_REQUEST_LINE,
            "auto_decompress": False,  # web.unpacking does it
        },
    }


@web.middleware
async def around_every_request(
    request: web.Request,
    handler: Handler,  # noqa: ARG001  # aiohttp names it
) -> web.StreamResponse:
    """Answer a request, also when its view fails.

    What the endpoint says is called from here: aiohttp only has found it.
    """
    started = perf_counter()
    state = request.app[STATE]
    endpoint = _endpoint(request, state)
    headers = request.headers
    correlation_id = _correlation_id(headers)
    # aiohttp has a task for each request, so that nothing has to be put back.
    correlate(correlation_id)
    is_extra = _is_extra(request)
    call = Call(correlation_id, _traceparent(headers), None, b"", request)
    try:
        response = await _answer(call, endpoint, state, is_extra=is_extra)
    except Exception as error:  # noqa: BLE001  # every error is answered here
        response = await _problem(error, call, endpoint, state)
        await _pack(response, request)
    stamp(response, correlation_id)
    if state.services.config.origins:
        share(state.services.config.origins, endpoint, request, response)
    if endpoint.is_page:
        keep_cookies_secret(request, response)
    if is_extra or response.status == HTTPStatus.REQUEST_TIMEOUT:
        response.force_close()
    _record(request, endpoint, state, response.status, perf_counter() - started)
    if isinstance(response, EventStream):
        await response.run(request)
    elif is_large(response):
        return await send(request, response, state.held)
    return response


async def _answer(
    call: Call, endpoint: Endpoint, state: WebState, *, is_extra: bool
) -> web.StreamResponse:
    if is_extra and not endpoint.is_for_operators:
        raise TooManyConnectionsError
    if call.request.method == METH_OPTIONS and endpoint.allow:
        return allowed(endpoint.allow)
    if endpoint.access is Access.ANYBODY:
        return await _identified(call, endpoint, state)
    state.in_flight.enter()
    try:
        return await _identified(call, endpoint, state)
    finally:
        state.in_flight.leave()


async def _identified(call: Call, endpoint: Endpoint, state: WebState) -> web.StreamResponse:
    request, operation = call.request, endpoint.operation
    user_id = call.user_id = await identify(endpoint.access, request, state.gate)
    if operation is None:
        raise _unmatched(request)
    state.in_flight.enter_as(user_id)
    try:
        if endpoint.writes:
            call.key, call.is_trial = key_of(request, operation), is_trial(request, operation)
        request[CALL] = call
        client = Client(Share.REQUESTS, user_id)
        work_as(client)
        if endpoint.needs_place:
            async with state.uploads.held(client):
                response = await _received(call, endpoint, operation, state)
        else:
            response = await _received(call, endpoint, operation, state)
        if isinstance(response, EventStream):
            response.open(request, state.services.config.limits)
        return response
    finally:
        state.in_flight.leave_as(user_id)


async def _received(
    call: Call, endpoint: Endpoint, operation: Operation, state: WebState
) -> web.StreamResponse:
    if endpoint.takes_body:
        call.body = await _body(call.request, operation, state)
        if operation.is_page:
            call.body = await without_file(call.request, call.body)
            await check_form(call.request, call.body, call.user_id)
    return await state.deadline.run(_handled(call, operation, state), operation.seconds)


async def _body(request: web.Request, operation: Operation, state: WebState) -> bytes:
    seconds = operation.seconds if operation.uploads else None
    seconds = seconds or state.services.config.limits.body_seconds
    media_types = operation.uploads or ((FORM,) if operation.is_page else ())
    return await read_body(request, operation.body_limit, seconds, state.held, media_types)


async def _handled(call: Call, operation: Operation, state: WebState) -> web.StreamResponse:
    if operation.is_large:
        return await _large(call, operation, state)
    services = state.services
    if call.key is None and not call.is_trial:
        response = await handle(operation, services, call)
    else:
        store = services.idempotency
        response = await answered(call, operation, store, lambda: handle(operation, services, call))
    await _pack(response, call.request)
    return response


async def _large(call: Call, operation: Operation, state: WebState) -> web.StreamResponse:
    async with state.large_reads.held(current_client()):
        response = await handle(operation, state.services, call)
        # Here, since both forms of it are in memory meanwhile.
        await _pack(response, call.request)
        return response


async def _pack(response: web.StreamResponse, request: web.Request) -> None:
    if is_to_compress(response, request):
        await compress(response)


def _is_extra(request: web.Request) -> bool:
    """Whether it came on a connection beyond the limit."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.is_extra


def _endpoint(request: web.Request, state: WebState) -> Endpoint:
    # Only the paths of routes.install are answered, not those that Faust adds to the server.
    resource = request.match_info.route.resource
    endpoint = state.endpoints.get((request.method, resource.canonical)) if resource else None
    if endpoint is not None:
        return endpoint
    is_page = state.gate.sessions is not None and is_of_console(request.path)
    return Endpoint(UNMATCHED, area_access(request.path), is_page=is_page)


def _unmatched(request: web.Request) -> ServiceError:
    error = request.match_info.http_exception
    # Each of our paths takes OPTIONS; one that does not is Faust's, and nothing is there.
    if isinstance(error, web.HTTPMethodNotAllowed) and METH_OPTIONS in error.allowed_methods:
        return MethodNotAllowedError(error.allowed_methods)
    return NotFoundError()


def _correlation_id(headers: Headers) -> str:
    given = _only(headers, _CORRELATION)
    correlation_id = canonical_uuid(given) if given else None
    return str(correlation_id) if correlation_id else new_id_text()


def _traceparent(headers: Headers) -> str | None:
    return valid_traceparent(_only(headers, _TRACEPARENT))


def _only(headers: Headers, name: str) -> str | None:
    """Return a header, None where there are several: nobody knows then which one counts."""
    values = headers.getall(name, ())
    return values[0] if len(values) == 1 else None


async def _problem(
    error: Exception, call: Call, endpoint: Endpoint, state: WebState
) -> web.Response:
    if not isinstance(error, ServiceError) or error.error_code == ServiceError.error_code:
        _log.error("request_failed", exc_info=error)
        error = ServiceError()
    if error.error_code == UnavailableError.error_code:
        state.unavailable.add(error)
    if endpoint.is_page:
        return await problem_page(error, call.request, endpoint.access)
    path = call.request.rel_url.raw_path
    return problem_answer(error, path, UUID(call.correlation_id))


def _record(
    request: web.Request, endpoint: Endpoint, state: WebState, status: int, seconds: float
) -> None:
    method = request.method if request.method in _METHODS else "other"
    route = endpoint.template
    state.services.metrics.answered(method, route, status, seconds)
    level = DEBUG if endpoint.is_for_operators else INFO
    ms = round(seconds * 1000, 2)
    _access_log.log(level, "request", method=method, route=route, status=status, ms=ms)
