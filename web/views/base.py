"""What the views share."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from faust.web.views import View

from rules.errors import ServiceError
from web.bodies import MAX_BODY
from web.identity import Access
from web.parameters import identifier
from web.services import WebServices
from web.state import STATE, application

RecordT = TypeVar("RecordT")


class ApiView(View):
    """A path of the service; methods get the ids in the path as UUIDs, by name."""

    access: ClassVar[Access] = Access.USER
    body_limit: ClassVar[int] = MAX_BODY
    is_large: ClassVar[bool] = False

    services: WebServices

    def __post_init__(self) -> None:
        self.services = application(self.web)[STATE].services

    def get_methods(self) -> set[str]:
        """Return the methods of the path: HEAD only with GET."""
        methods: set[str] = super().get_methods()
        return methods if "GET" in methods else methods - {"HEAD"}

    async def dispatch(self, request: Any) -> Any:  # noqa: ANN401  # Faust's signature
        """Call the method without Faust's sensors and errors: the middleware has both."""
        ids = {name: identifier(name, text) for name, text in request.match_info.items()}
        return await self.methods[request.method.lower()](request, **ids)


def only(results: Sequence[RecordT | ServiceError]) -> RecordT:
    """Return the result of a list of one request, or raise it if it is an error."""
    (result,) = results
    if isinstance(result, ServiceError):
        raise result
    return result
