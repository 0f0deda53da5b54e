"""Signing in: as an operator, and for development as any teacher."""

import asyncio
import hmac
from http import HTTPStatus
from typing import Final

from aiohttp import web

from rules.identity import may_act
from telemetry.logs import get_logger
from web.calls import Call
from web.console import sessions
from web.console.forms import form_of
from web.console.operations import form_operation, page_operation
from web.console.paths import own_path
from web.console.rendering import page, see_other, sessions_of
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

TEACHER: Final = "/console/sign-in"
OPERATOR: Final = "/console/sign-in/operator"
OUT: Final = "/console/sign-out"
OPERATIONS_PAGE: Final = "/console/operations"

MAX_NAME: Final = 100
#: How long a wrong key keeps who guesses waiting.
_WRONG_SECONDS: Final = 0.5

_log: Final = get_logger(__name__)


async def show_teacher(_services: WebServices, call: Call) -> web.Response:
    """Ask who it is, where anybody is believed; elsewhere say who knows."""
    target = call.query.get("next", "")
    return await page(call, "sign_in.html", next=target, user_id="", fault=None)


async def sign_teacher_in(_services: WebServices, call: Call) -> web.Response:
    """Believe who it says it is."""
    own, form = sessions_of(call.request), form_of(call)
    if not own.is_development:
        raise NotFoundError
    user_id, target = form.text("user_id").strip(), form.text("next")
    if not may_act(user_id):
        return await page(
            call,
            "sign_in.html",
            status=HTTPStatus.BAD_REQUEST,
            next=target,
            user_id=user_id,
            fault="user",
        )
    response = see_other(own_path(target))
    await own.remember_teacher(response, user_id)
    return response


async def show_operator(services: WebServices, call: Call) -> web.Response:
    """Ask for the internal key."""
    return await page(
        call,
        "sign_in_operator.html",
        next=call.query.get("next", ""),
        name="",
        fault=None if services.config.internal_api_keys else "no key",
    )


async def sign_operator_in(services: WebServices, call: Call) -> web.Response:
    """Compare the key with the internal ones; who guesses has to wait, and is in the log."""
    form = form_of(call)
    name, target = form.text("name").strip()[:MAX_NAME], form.text("next") or OPERATIONS_PAGE
    given = form.text("key").encode()
    same = [hmac.compare_digest(given, key.encode()) for key in services.config.internal_api_keys]
    has_name = bool(name) and name.isprintable()
    if not any(same) or not has_name:
        _log.warning("operator refused", at=call.request.remote)
        await asyncio.sleep(_WRONG_SECONDS)
        return await page(
            call,
            "sign_in_operator.html",
            status=HTTPStatus.UNAUTHORIZED,
            next=target,
            name=name,
            fault="key" if has_name else "name",
        )
    operator = sessions.new_operator(name)
    _log.info("operator signed in", operator=name, session=operator.session[:8])
    response = see_other(own_path(target))
    sessions_of(call.request).remember_operator(response, operator)
    return response


async def sign_out(_services: WebServices, call: Call) -> web.Response:
    """Forget who is signed in."""
    is_operator = sessions.OPERATOR_COOKIE in call.request.cookies
    response = see_other(OPERATOR if is_operator else TEACHER, "signed-out")
    for cookie in (sessions.TEACHER_COOKIE, sessions.OPERATOR_COOKIE):
        sessions.forget(response, cookie)
    return response


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(TEACHER, show_teacher, Access.ANYBODY),
    form_operation(TEACHER, sign_teacher_in, Access.ANYBODY),
    page_operation(OPERATOR, show_operator, Access.ANYBODY),
    form_operation(OPERATOR, sign_operator_in, Access.ANYBODY),
    form_operation(OUT, sign_out, Access.ANYBODY),
)
