"""The view of a path, which Faust routes to, and what handlers share."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from aiohttp import web
from aiohttp.hdrs import METH_OPTIONS
from faust.web.views import View

from rules.errors import ServiceError
from web.calls import CALL
from web.conditions import unless_known
from web.operations import Operation
from web.parameters import identifier
from web.state import STATE, application

RecordT = TypeVar("RecordT")


class PathView(View):
    """The operations on a path, by method; GET's also answers HEAD."""

    operations: ClassVar[Mapping[str, Operation]]

    def __post_init__(self) -> None:
        self._services = application(self.web)[STATE].services

    def get_methods(self) -> set[str]:
        """Return the methods of the path; the middleware answers OPTIONS."""
        return {*self.operations, METH_OPTIONS}

    async def dispatch(self, request: Any) -> Any:  # noqa: ANN401  # Faust's signature
        """Call the handler without Faust's sensors and errors: the middleware has both."""
        ids = {name: identifier(name, text) for name, text in request.match_info.items()}
        operation = self.operations[request.method]
        response = await operation.handler(self._services, request[CALL], **ids)
        is_read = operation.method == "GET" and operation.has_tag
        if is_read and isinstance(response, web.Response):
            return unless_known(request.headers, response)
        return response


def views(operations: Sequence[Operation]) -> list[type[PathView]]:
    """Return a view for each path, in the order in which paths first come."""
    paths: dict[str, dict[str, Operation]] = {}
    for one in operations:
        path = paths.setdefault(one.path, {})
        if one.method in path:
            raise ValueError(f"two operations for {one.method} {one.path}")
        path[one.method] = one
        if one.method == "GET":
            path["HEAD"] = one
    return [
        type(path, (PathView,), {"view_path": path, "operations": methods})
        for path, methods in paths.items()
    ]


def only(results: Sequence[RecordT | ServiceError]) -> RecordT:
    """Return the result of a list of one request, or raise it if it is an error."""
    (result,) = results
    if isinstance(result, ServiceError):
        raise result
    return result
