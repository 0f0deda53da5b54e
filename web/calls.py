"""What the middleware passes to the handlers about a request."""

from dataclasses import dataclass
from typing import Final, TypeVar

from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel

from rules.conditions import Condition
from rules.errors import AuthenticationRequiredError
from rules.inputs import read_json
from rules.models import Caller, Trace
from web import conditions

InputT = TypeVar("InputT", bound=BaseModel)


# Not frozen: making one would take five times as long, and each request has one.
@dataclass(slots=True)
class Call:
    """An authenticated request; `user_id` is None if no user acts.

    `key` is its idempotency key, and `is_trial` whether it only asks what it would do.
    """

    trace: Trace
    user_id: str | None
    body: bytes
    request: web.Request
    key: str | None = None
    is_trial: bool = False

    @property
    def caller(self) -> Caller:
        """The user who acts. Raises AuthenticationRequiredError if there is none."""
        if self.user_id is None:
            raise AuthenticationRequiredError
        return Caller(self.user_id, self.trace)

    @property
    def query(self) -> MultiMapping[str]:
        """The parameters."""
        return self.request.query

    @property
    def condition(self) -> Condition | None:
        """What it makes its effect depend on, if on anything. Raises ValidationFailedError."""
        return conditions.asked(self.request.headers)

    def read(self, model: type[InputT]) -> InputT:
        """Parse the body. Raises ValidationFailedError."""
        return read_json(model, self.body)


CALL: Final = web.RequestKey("call", Call)
