"""Errors as pages: what happened, what is safe, what to do."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from rules.errors import ServiceError, ValidationFailedError
from web.console.acting import NotActingError
from web.console.notices import N_
from web.console.paths import own_path
from web.console.rendering import asks_for_fragment, person_of, rendered, see_other, sessions_of
from web.console.sessions import Operator, Sessions
from web.errors import ForeignFormError, UnidentifiedError
from web.identity import Access
from web.parameters import canonical_uuid
from web.problems import passes, problem_headers, status_of

SIGN_IN: Final = "/console/sign-in"

_READS: Final = frozenset({"GET", "HEAD"})

#: What to do about it, by error code; the others get what their status says.
_ADVICE: Final = {
    "AUTHENTICATION_REQUIRED": N_("Sign in where you usually do, and open this page again."),
    "CLASS_NOT_FOUND": N_("The class is deleted, or it is not one of yours."),
    "STUDENT_NOT_FOUND": N_("The student is deleted, or is not one of yours."),
    "BATCH_NOT_FOUND": N_("There is no such batch, or its class is not one of yours."),
    "ESSAY_NOT_FOUND": N_("There is no such essay in this batch."),
    "IMPORT_NOT_FOUND": N_("The import is not there any more, or is not one of yours."),
    "PAYLOAD_TOO_LARGE": N_("Nothing was changed: the file is too large. It may have 10 MiB."),
    "NOT_FOUND": N_("There is no page at this address."),
    "STUDENT_EMAIL_CONFLICT": N_("Another of your students already has this email."),
    "EXTERNAL_ID_CONFLICT": N_("Another of yours already has this external id."),
    "PLACEHOLDER_STUDENT": N_("The UNKNOWN student of a class belongs to the service."),
    "BATCH_CONFLICT": N_("It was decided meanwhile. Look at what stands now."),
    "PRECONDITION_FAILED": N_("It was changed meanwhile. Look at what stands now."),
    "TOO_MANY_REQUESTS": N_("Too many requests at once. Wait a moment, and try again."),
    "SERVICE_UNAVAILABLE": N_(
        "The service cannot answer right now. What was saved is safe; try again in a moment."
    ),
    "INTERNAL_ERROR": N_("Something went wrong inside the service. What was saved is safe."),
}
_FOREIGN: Final = N_(
    "Nothing was changed: the form is older than a day, or was not sent from a page of this "
    "service. Open the page again, and send it from there."
)
_NOT_ACTING: Final = N_("Nothing was changed: switch acting on first.")
_OTHERWISE: Final = N_("Nothing was changed.")


def is_of_console(path: str) -> bool:
    """Whether somebody at this path wants to see pages."""
    return f"{path}/".startswith("/console/")


async def problem_page(error: ServiceError, request: web.Request, access: Access) -> web.Response:
    """Answer an error on a page; who is not signed in gets to where one does."""
    sign_in = None
    if isinstance(error, UnidentifiedError):
        sign_in = _sign_in(access, sessions_of(request))
        if asks_for_fragment(request):
            return _signed_out(request, sign_in)
        if sign_in is not None and request.method in _READS:
            return see_other(sign_in, next=request.rel_url.raw_path_qs)
    person = person_of(request)
    try:
        response = await _page(request, person, error, sign_in)
    except ServiceError:  # what a form on the page needs is not to be had; there is none on it
        response = await _page(request, None, error, sign_in)
    response.headers.update(problem_headers(error))
    return response


def _sign_in(access: Access, sessions: Sessions) -> str | None:
    """Return the page on which one says who one is; teachers have one for development alone."""
    if access is Access.OPERATOR:
        return f"{SIGN_IN}/operator"
    return SIGN_IN if sessions.is_development else None


def _signed_out(request: web.Request, sign_in: str | None) -> web.Response:
    """Have the whole page go to where one signs in, not a piece of it become that.

    Where the platform does it, the page is loaded again; not where something is to be saved, which
    would be lost: the page says that it was not.
    """
    response = web.Response(status=HTTPStatus.UNAUTHORIZED)
    if sign_in is not None:
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        address = own_path(urlunsplit(shown._replace(scheme="", netloc="", fragment="")))
        response.headers["HX-Redirect"] = f"{sign_in}?{urlencode({'next': address})}"
    elif request.method in _READS:
        response.headers["HX-Refresh"] = "true"
    return response


def _is_no_address(request: web.Request, error: ServiceError) -> bool:
    """Whether the address has an id that is none, as of a link that was cut off."""
    ids = request.match_info.values()
    return isinstance(error, ValidationFailedError) and not all(map(canonical_uuid, ids))


def _advice(error: ServiceError) -> str:
    if isinstance(error, ForeignFormError):
        return _FOREIGN
    if isinstance(error, NotActingError):
        return _NOT_ACTING
    return _ADVICE.get(error.error_code, _OTHERWISE)


async def _page(
    request: web.Request, person: str | Operator | None, error: ServiceError, sign_in: str | None
) -> web.Response:
    is_no_address = _is_no_address(request, error)
    return await rendered(
        request,
        "problem.html",
        person,
        status_of(error),
        advice=_ADVICE["NOT_FOUND"] if is_no_address else _advice(error),
        code=error.error_code,
        faults=[] if is_no_address else [fault.detail for fault in error.errors],
        can_retry=passes(error) and request.method in _READS,
        sign_in=sign_in,
    )
