"""Makes pages of templates, and answers of forms."""

import asyncio
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rules.courses import COURSES
from store.clock import utc_now
from store.pace import Pace
from web.calls import CALL, Call
from web.console.files import FILES
from web.console.languages import Speech, speech_of, translations
from web.console.notices import NOTICES
from web.console.sessions import OPERATOR, Operator, Sessions
from web.page_headers import PAGE_HEADERS
from web.state import STATE

TEMPLATES: Final = Path(__file__).with_name("templates")

#: Nothing inline, nothing from elsewhere, in no frame.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Of every page, and of files that a page has one save.
HEADERS: Final = {
    **PAGE_HEADERS,
    "Content-Security-Policy": POLICY,
    "Vary": "Accept-Language, Cookie, HX-Request",
}

_HTMX: Final = "HX-Request"

#: So many rows hold the loop for a few milliseconds.
_AT_ONCE: Final = 20


# For each language, templates are compiled once.
@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    # What the extension installs, which its types don't know.
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals["files"] = FILES
    environment.globals["COURSES"] = COURSES
    return environment


def is_fragment(call: Call) -> bool:
    """Whether a script asks for a piece of a page, to put it into the one that is shown."""
    return asks_for_fragment(call.request)


def asks_for_fragment(request: web.Request) -> bool:
    """Whether this asks for a piece, also where nobody is known to ask."""
    return _HTMX in request.headers


async def page(
    call: Call,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    **context: Any,  # noqa: ANN401  # whatever the template shows
) -> web.Response:
    """Answer a page, or a piece of one.

    Every template has `ui` (how to speak), `path`, `person` (who is signed in: a teacher's id, an
    Operator or None), `form_token`, `notice`, and `server_now`: of the store, where it has been
    asked, for countdowns are by its clock.
    """
    return await rendered(call.request, template, person_of(call.request), status, **context)


async def rendered(
    request: web.Request,
    template: str,
    person: str | Operator | None,
    status: HTTPStatus,
    **context: Any,  # noqa: ANN401  # whatever the template shows
) -> web.Response:
    """Answer a page; `page` does it for a call."""
    speech, sessions = speech_of(request), sessions_of(request)
    values = {
        "ui": speech,
        "path": request.rel_url.raw_path,
        "query": request.rel_url.raw_query_string,
        "person": person,
        "is_operator": isinstance(person, Operator),
        "is_development": sessions.is_development,
        "form_token": await sessions.form_token(person) if person else "",
        "notice": _notice(request, speech),
        "server_now": utc_now(),
        **context,
    }
    text = _environment(speech.language).get_template(template).render(values)
    response = web.Response(text=text, status=status, headers=HEADERS)
    if isinstance(person, Operator):
        sessions.renew(response, person)
    await asyncio.sleep(0)  # rendering has held the loop for milliseconds
    return response


async def many(
    call: Call,
    template: str,
    items: Sequence[object],
    **context: Any,  # noqa: ANN401  # whatever the template shows
) -> Markup:
    """Return what a template makes of its `items`: of thousands a few at a time."""
    speech, person = speech_of(call.request), person_of(call.request)
    token = await sessions_of(call.request).form_token(person) if person else ""
    found, pace, pieces = _environment(speech.language).get_template(template), Pace(), []
    for start in range(0, len(items), _AT_ONCE):
        some = items[start : start + _AT_ONCE]
        pieces.append(found.render(ui=speech, form_token=token, items=some, **context))
        await pace.keep()
    return Markup("").join(map(Markup, pieces))  # templates have escaped it


def see_other(path: str, notice: str | None = None, **query: str) -> web.Response:
    """Answer a form that did what it should: the browser asks for a page (POST, redirect, GET).

    `notice` is the name of a text of web.console.notices, which that page shows.
    """
    if notice is not None:
        query["notice"] = notice
    location, _, fragment = path.partition("#")
    if query:
        location += f"{'&' if '?' in location else '?'}{urlencode(query)}"
    if fragment:
        location += f"#{fragment}"
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": location})


def sessions_of(request: web.Request) -> Sessions:
    """Return what knows who is signed in; there is one wherever there are pages."""
    sessions = request.app[STATE].gate.sessions
    if sessions is None:
        raise LookupError("no pages are served here")
    return sessions


def person_of(request: web.Request) -> str | Operator | None:
    """Return who is signed in."""
    operator: Operator | None = request.get(OPERATOR)
    if operator is not None:
        return operator
    call: Call | None = request.get(CALL)
    return call.user_id if call else None


def _notice(request: web.Request, speech: Speech) -> str | None:
    message = NOTICES.get(request.query.get("notice", ""))
    return speech.text(message) if message else None
