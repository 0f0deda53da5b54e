"""Errors as pages: what happened, what is safe, what to do."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from rules.errors import ServiceError
from web.console.notices import N_
from web.console.rendering import person_of, rendered, see_other, sessions_of
from web.console.sessions import Operator
from web.errors import UnidentifiedError
from web.identity import Access
from web.problems import passes, status_of

SIGN_IN: Final = "/console/sign-in"

#: What to do about it, by error code; the others get what their status says.
_ADVICE: Final = {
    "AUTHENTICATION_REQUIRED": N_("Sign in where you usually do, and open this page again."),
    "CLASS_NOT_FOUND": N_("The class is deleted, or it is not one of yours."),
    "STUDENT_NOT_FOUND": N_("The student is deleted, or is not one of yours."),
    "BATCH_NOT_FOUND": N_("There is no such batch, or its class is not one of yours."),
    "ESSAY_NOT_FOUND": N_("There is no such essay in this batch."),
    "NOT_FOUND": N_("There is no page at this address."),
    "STUDENT_EMAIL_CONFLICT": N_("Another of your students already has this email."),
    "PLACEHOLDER_STUDENT": N_("The UNKNOWN student of a class belongs to the service."),
    "BATCH_CONFLICT": N_("It was decided meanwhile. Look at what stands now."),
    "PRECONDITION_FAILED": N_("It was changed meanwhile. Look at what stands now."),
    "TOO_MANY_REQUESTS": N_("Too many requests at once. Wait a moment, and try again."),
    "SERVICE_UNAVAILABLE": N_(
        "The service cannot answer right now. What was saved is safe; try again in a moment."
    ),
    "INTERNAL_ERROR": N_("Something went wrong inside the service. What was saved is safe."),
}
_OTHERWISE: Final = N_("Nothing was changed.")


def is_of_console(path: str) -> bool:
    """Whether somebody at this path wants to see pages."""
    return f"{path}/".startswith("/console/")


async def problem_page(error: ServiceError, request: web.Request, access: Access) -> web.Response:
    """Answer an error on a page; who is not signed in gets to where one does."""
    sessions = sessions_of(request)
    if isinstance(error, UnidentifiedError) and request.method in {"GET", "HEAD"}:
        if access is Access.OPERATOR:
            return see_other(
                f"{SIGN_IN}/operator?{urlencode({'next': request.rel_url.raw_path_qs})}"
            )
        if sessions.is_development:
            return see_other(f"{SIGN_IN}?{urlencode({'next': request.rel_url.raw_path_qs})}")
    status = status_of(error)
    advice = _ADVICE.get(error.error_code, _OTHERWISE)
    person = person_of(request)
    try:
        response = await _page(request, person, status, advice, error)
    except ServiceError:  # what a form on the page needs is not to be had; there is none on it
        response = await _page(request, None, status, advice, error)
    if passes(error):
        response.headers["Retry-After"] = "1"
    return response


async def _page(
    request: web.Request,
    person: str | Operator | None,
    status: HTTPStatus,
    advice: str,
    error: ServiceError,
) -> web.Response:
    return await rendered(
        request,
        "problem.html",
        person,
        status,
        advice=advice,
        code=error.error_code,
        faults=[fault.detail for fault in error.errors],
        can_retry=passes(error),
    )
