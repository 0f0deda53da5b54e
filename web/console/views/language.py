"""The switch between languages."""

from typing import Final

from aiohttp import web

from rules.errors import ValidationFailedError
from web.calls import Call
from web.console.forms import form_of
from web.console.languages import LANGUAGE_COOKIE, LANGUAGES
from web.console.operations import form_operation
from web.console.paths import own_path
from web.console.rendering import see_other
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

LANGUAGE: Final = "/console/language"

_YEAR_SECONDS: Final = 31_536_000


async def switch(_services: WebServices, call: Call) -> web.Response:
    """Have the browser remember a language."""
    form = form_of(call)
    language = form.text("language")
    if language not in LANGUAGES:
        raise ValidationFailedError
    response = see_other(own_path(form.text("next")))
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        path="/console",
        max_age=_YEAR_SECONDS,
        httponly=True,
        samesite="Strict",
    )
    return response


OPERATIONS: Final[tuple[Operation, ...]] = (form_operation(LANGUAGE, switch, Access.ANYBODY),)
