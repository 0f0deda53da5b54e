"""The switch without which operators only look."""

from typing import Final

from aiohttp import web

from rules.errors import ValidationFailedError
from telemetry.logs import get_logger
from web.calls import Call
from web.console.acting import operator_of
from web.console.forms import form_of
from web.console.operations import form_operation
from web.console.paths import own_path
from web.console.rendering import see_other, sessions_of
from web.console.sessions import switched
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

ACTING: Final = "/console/operations/acting"

#: What the form's buttons say.
_CHOICES: Final = {"on": True, "off": False}

_log: Final = get_logger(__name__)


async def switch(_services: WebServices, call: Call) -> web.Response:
    """Switch acting on or off, and go back to the page."""
    form, operator = form_of(call), operator_of(call)
    choice = form.text("acting")
    if choice not in _CHOICES:
        raise ValidationFailedError
    _log.info("operator switches acting", acting=choice, operator=operator.name)
    response = see_other(own_path(form.text("next")))
    changed = switched(operator, acting=_CHOICES[choice])
    sessions_of(call.request).remember_operator(response, changed)
    return response


OPERATIONS: Final[tuple[Operation, ...]] = (form_operation(ACTING, switch, Access.OPERATOR),)
