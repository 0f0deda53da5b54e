"""That a form came from a page of this service, for the person who sends it."""

from typing import Final

from aiohttp import web

from web.console.forms import TOKEN, read_form
from web.console.rendering import sessions_of
from web.console.sessions import OPERATOR
from web.errors import ForeignFormError

#: What browsers say of a request that no other site caused.
_OWN_SITES: Final = frozenset({"same-origin", "none"})


async def check_form(request: web.Request, body: bytes, user_id: str | None) -> None:
    """Raise ForeignFormError for a form that came from elsewhere.

    The forms of who is not signed in have no token: that the browser names no other site has to do
    (Sec-Fetch-Site, or Origin of those that do not send it).
    """
    if not _is_from_own_page(request):
        raise ForeignFormError
    person = request.get(OPERATOR) or user_id
    if person is None:
        return
    token = read_form(body).text(TOKEN)
    if not await sessions_of(request).is_form_token(token, person):
        raise ForeignFormError


def _is_from_own_page(request: web.Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_SITES
    origin = request.headers.get("Origin")
    # A gateway may ask for the service by another name; no page can have a browser send this one.
    hosts = {request.host, request.headers.get("X-Forwarded-Host", request.host)}
    return origin is None or origin.partition("://")[2] in hosts


def keep_cookies_secret(request: web.Request, response: web.StreamResponse) -> None:
    """Have cookies sent over TLS alone, where the browser has come by it.

    A gateway says so in `X-Forwarded-Proto`. Who makes that up harms itself alone.
    """
    if request.headers.get("X-Forwarded-Proto", request.scheme).lower() == "https":
        for cookie in response.cookies.values():
            cookie["secure"] = True
