"""What the middleware passes to the handlers about a request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel

from rules.conditions import Condition
from rules.errors import AuthenticationRequiredError
from rules.inputs import read_json
from rules.models import Caller, Trace
from web import conditions

InputT = TypeVar("InputT", bound=BaseModel)
T = TypeVar("T")


class BeforehandError(Exception):
    """Something has to be done before the transaction that the handler runs in, which is ended."""

    def __init__(self, make: Callable[[], Awaitable[object]]) -> None:
        """`make` does it."""
        super().__init__()
        self.make = make


# Not frozen: making one would take five times as long, and each request has one.
@dataclass(slots=True)
class Call:
    """An authenticated request; `user_id` is None if no user acts.

    `key` is its idempotency key, and `is_trial` whether it only asks what it would do. `is_joined`
    while its handler runs in a transaction.
    """

    correlation_id: str
    traceparent: str | None
    user_id: str | None
    body: bytes
    request: web.Request
    key: str | None = None
    is_trial: bool = False
    is_joined: bool = False
    _made: Any = None

    @property
    def trace(self) -> Trace:
        """What connects what it causes."""
        return Trace(UUID(self.correlation_id), self.traceparent)

    @property
    def user(self) -> str:
        """The id of the user who acts. Raises AuthenticationRequiredError if there is none."""
        if self.user_id is None:
            raise AuthenticationRequiredError
        return self.user_id

    @property
    def caller(self) -> Caller:
        """The user who acts, with what its effects are connected by. Raises what `user` raises."""
        return Caller(self.user, self.trace)

    @property
    def query(self) -> MultiMapping[str]:
        """The parameters."""
        return self.request.query

    @property
    def condition(self) -> Condition | None:
        """What it makes its effect depend on, if on anything. Raises ValidationFailedError."""
        return conditions.asked(self.request.headers)

    @property
    def is_gone(self) -> bool:
        """Whether its client has hung up."""
        transport = self.request.transport
        return transport is None or transport.is_closing()

    async def beforehand(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return what `make` does, which takes long: once, and never inside a transaction.

        A handler calls it once, and before it changes anything: inside a transaction that is ended,
        and after `make` the handler runs again in another one.
        """
        if self._made is None:
            if self.is_joined:
                raise BeforehandError(make)
            self._made = await make()
        return cast("T", self._made)

    def read(self, model: type[InputT]) -> InputT:
        """Parse the body. Raises ValidationFailedError."""
        return read_json(model, self.body)


CALL: Final = web.RequestKey("call", Call)
