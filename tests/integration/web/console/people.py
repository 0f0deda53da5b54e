"""Who is signed in on the console's pages, as cookies say; and forms as browsers send them."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from typing import Final
from urllib.parse import urlencode

from aiohttp import FormData, web

from rules.ids import new_id
from tests.integration.web.api import INTERNAL_KEY, TEACHER, Api, Reply
from tests.integration.web.worlds import World
from web.calls import Call
from web.console.operations import form_operation, page_operation
from web.console.rendering import page
from web.console.sessions import (
    OPERATOR,
    OPERATOR_COOKIE,
    TEACHER_COOKIE,
    Operator,
    Sessions,
    SignIn,
    new_operator,
)
from web.console.table import CONSOLE_OPERATIONS, WITH_CONSOLE
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
#: Beside the form itself, a page that is asked for with this is a piece of one.
FRAGMENT: Final = {"HX-Request": "true"}


async def _who(_services: WebServices, call: Call) -> web.Response:
    operator = call.request.get(OPERATOR)
    name = operator.name if operator else call.user_id
    return await page(
        call, "problem.html", code=name, advice="", faults=(), can_retry=False, sign_in=None
    )


#: Pages and forms that only say who has opened them, so that each kind is tried.
PROBES: Final = (
    page_operation("/console/probe", _who),
    form_operation("/console/probe", _who),
    page_operation("/console/operations/probe", _who, Access.OPERATOR),
    form_operation("/console/operations/probe", _who, Access.OPERATOR),
)
SERVED: Final = (*WITH_CONSOLE, *PROBES)

#: Pages and forms, without the files that they load.
PAGES: Final = [one for one in (*CONSOLE_OPERATIONS, *PROBES) if one.is_page]
FORMS: Final = [one for one in PAGES if one.method == "POST"]

_WHO: Final = re.compile('<p class="small">(.*)</p>')
_TOKEN: Final = re.compile(r'name="form_token" value="([^"]*)"')


class Signer:
    """Signs cookies and tokens as a service with this internal key and this secret does."""

    def __init__(self, secret: bytes, key: str = INTERNAL_KEY) -> None:
        async def teachers_key() -> bytes:
            return secret

        self.sessions: Final = Sessions((key,), SignIn.DEVELOPMENT, teachers_key)

    async def teacher(self, user: str = TEACHER) -> str:
        """Return the value of a teacher's cookie."""
        response = web.Response()
        await self.sessions.remember_teacher(response, user)
        return response.cookies[TEACHER_COOKIE].value

    def operator(self, operator: Operator | None = None) -> str:
        """Return the value of an operator's cookie."""
        response = web.Response()
        self.sessions.remember_operator(response, operator or new_operator("Eva"))
        return response.cookies[OPERATOR_COOKIE].value

    def operator_until(self, until: float, last: float | None = None) -> str:
        """Return the value of the cookie of one who is signed in until then."""
        ended = replace(new_operator("Eva"), until=int(until), last=int(last or until))
        return self.operator(ended)


def cookie(name: str, value: str) -> dict[str, str]:
    return {"Cookie": f"{name}={value}"}


def as_teacher(value: str) -> dict[str, str]:
    return cookie(TEACHER_COOKIE, value)


def as_operator(value: str) -> dict[str, str]:
    return cookie(OPERATOR_COOKIE, value)


async def send_form(
    api: Api,
    path: str,
    fields: Mapping[str, str | Sequence[str]],
    *,
    user: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send a form as a browser does."""
    data = urlencode(fields, doseq=True).encode()
    return await api.send("POST", path, user=user, data=data, headers={**FORM, **(headers or {})})


async def send_file(
    api: Api,
    path: str,
    fields: Mapping[str, str | bytes],
    *,
    user: str,
    name: str = "9A.csv",
) -> Reply:
    """Send a form as a browser does with the file that `file` is, of which it knows no type."""
    data = FormData({key: value for key, value in fields.items() if key != "file"})
    content = fields["file"]
    content = content.encode() if isinstance(content, str) else content
    file = io.BytesIO(content)
    data.add_field("file", file, filename=name, content_type="application/octet-stream")
    payload = data()
    headers = {"Content-Type": payload.headers["Content-Type"]}
    return await api.send("POST", path, user=user, data=payload, headers=headers)


async def signed_in(api: Api, name: str = "Eva") -> dict[str, str]:
    """Sign an operator in; return the header with its cookie."""
    reply = await send_form(api, "/console/sign-in/operator", {"name": name, "key": INTERNAL_KEY})
    assert reply.status == 303, reply.body
    return as_operator(cookies_of(reply)[OPERATOR_COOKIE].partition(";")[0])


def cookies_of(reply: Reply) -> dict[str, str]:
    """Return the cookies that an answer sets, each with its attributes."""
    found = [one.partition("=") for one in reply.headers.getall("Set-Cookie", ())]
    return {name: value for name, _, value in found}


def token_on(reply: Reply) -> str:
    """Return what the forms of a page have."""
    [token, *others] = dict.fromkeys(_TOKEN.findall(reply.body.decode()))
    assert others == []
    return unescape(token)


def who_on(reply: Reply) -> str:
    """Return who has opened a probe."""
    [name] = _WHO.findall(reply.body.decode())
    return unescape(name)


def path_of(operation: Operation, world: World | None = None) -> str:
    """Return the path with ids of a world, or of nothing; ids that no world has are of nothing."""
    known = vars(world or World.of_nobody())
    return operation.path.format(**{name: known.get(name, str(new_id())) for name in operation.ids})


def is_let_in(operation: Operation, reply: Reply) -> bool:
    """Whether who asked was known: else it is led to where one signs in, or told to."""
    if operation.access is Access.ANYBODY:
        return True
    is_led_away = reply.status == 303 and reply.headers["Location"].startswith("/console/sign-in")
    return not is_led_away and reply.status != 401
