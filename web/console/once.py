"""Forms that make something: sent twice, they make it once."""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from rules.errors import ValidationFailedError
from rules.idempotency import KeptAnswer, KeyedRequest
from web.calls import Call
from web.console.forms import form_of
from web.services import WebServices

#: The field that tells a form from the same one on a page that was opened later.
FIELD: Final = "once"

_KEY: Final = re.compile(r"[-_A-Za-z0-9]{20,40}")


def new_key() -> str:
    """Return what a form has when it is shown."""
    return secrets.token_urlsafe(18)


async def done_once(
    services: WebServices, call: Call, work: Callable[[], Awaitable[bytes]]
) -> bytes:
    """Return what `work` returned when this form was sent first; its effect commits with that.

    A form that was filled in otherwise, on the page that the browser had kept, is another one.
    """
    key = form_of(call).text(FIELD)
    if not _KEY.fullmatch(key):
        raise ValidationFailedError
    digest = hashlib.sha256(b"\0".join([call.request.path.encode(), call.body]))
    name = f"console:{key}:{digest.hexdigest()}"

    async def kept() -> KeptAnswer:
        return KeptAnswer(HTTPStatus.OK, {}, await work())

    request = KeyedRequest(call.user, name, digest.digest())
    return (await services.idempotency.once(request, kept)).body
