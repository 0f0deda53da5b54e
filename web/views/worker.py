"""What this process answers to other workers about its own part."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final
from uuid import UUID

from aiohttp import web

from web.answers import answer
from web.errors import NotFoundError
from web.identity import Access
from web.inspection.operations import OPERATIONS, WORKER
from web.inspection.parts import Operation
from web.views.base import ApiView


class PartView(ApiView):
    """An operation on this process's part of the table."""

    access: ClassVar[Access] = Access.WORKER


Handler = Callable[..., Awaitable[web.Response]]


def _handler(operation: Operation[Any, Any]) -> Handler:
    async def handle(self: PartView, request: web.Request, **ids: UUID) -> web.Response:
        query = operation.query.read(request, **ids)
        part = self.services.part
        if part is None:
            raise NotFoundError
        return answer(await part.ask(operation, query), status=operation.status)

    return handle


def _views() -> tuple[type[PartView], ...]:
    """Return a view for each path, with a method for each operation."""
    paths: dict[str, dict[str, Handler]] = {}
    for operation in OPERATIONS:
        handlers = paths.setdefault(f"{WORKER}{operation.path}", {})
        handlers[operation.method.lower()] = _handler(operation)
    return tuple(
        type(path, (PartView,), {"view_path": path, **handlers}) for path, handlers in paths.items()
    )


WORKER_VIEWS: Final = _views()
