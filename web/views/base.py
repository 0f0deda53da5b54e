"""How an operation is called, and what handlers share."""

from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web

from rules.errors import ServiceError
from web.calls import Call
from web.conditions import unless_known
from web.operations import Operation
from web.parameters import identifier
from web.services import WebServices

RecordT = TypeVar("RecordT")


async def handle(operation: Operation, services: WebServices, call: Call) -> web.StreamResponse:
    """Have an operation answer. Raises its errors, and ValidationFailedError for an id."""
    request = call.request
    ids = {name: identifier(name, text) for name, text in request.match_info.items()}
    response = await operation.handler(services, call, **ids)
    is_read = operation.has_tag and operation.method == "GET"
    if is_read and isinstance(response, web.Response):
        return unless_known(request.headers, response)
    return response


def paths(operations: Sequence[Operation]) -> dict[str, dict[str, Operation]]:
    """Return the operations of each path by method, in the order in which paths first come.

    GET's also answers HEAD.
    """
    found: dict[str, dict[str, Operation]] = {}
    for one in operations:
        path = found.setdefault(one.path, {})
        if one.method in path:
            raise ValueError(f"two operations for {one.method} {one.path}")
        path[one.method] = one
        if one.method == "GET":
            path["HEAD"] = one
    return found


def only(results: Sequence[RecordT | ServiceError]) -> RecordT:
    """Return the result of a list of one request, or raise it if it is an error."""
    (result,) = results
    if isinstance(result, ServiceError):
        raise result
    return result
