"""Pages and forms of the console, as a browser without scripts has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final
from urllib.parse import urlencode

from tests.integration.web.api import TEACHER, Api, Reply

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_INPUT: Final = re.compile(r"<input type=\"hidden\" name=\"(\w+)\" value=\"([^\"]*)\"")
_FORM: Final = re.compile(
    r"<form[^>]*method=\"post\"[^>]*action=\"([^\"]*)\"[^>]*>(.*?)</form>", re.DOTALL
)
_TEXTAREA: Final = re.compile(r"<textarea name=\"list\" hidden>\n(.*?)</textarea>", re.DOTALL)


@dataclass(frozen=True)
class Visitor:
    """A teacher with a browser."""

    api: Api
    user: str = TEACHER

    async def get(self, path: str) -> Reply:
        return await self.api.get(path, user=self.user)

    async def shown(self, path: str) -> str:
        """Return a page that is there."""
        reply = await self.get(path)
        assert reply.status == 200, reply.body
        return text_of(reply)

    async def post(self, path: str, fields: Mapping[str, object]) -> Reply:
        """Send a form with all of its fields."""
        body = urlencode(fields, doseq=True).encode()
        return await self.api.send("POST", path, user=self.user, headers=FORM, data=body)

    async def fields(self, page: str, action: str, **typed: object) -> dict[str, object]:
        """Return what the form of a page that goes to `action` would send."""
        return filled(await self.shown(page), action, **typed)

    async def send(self, page: str, action: str | None = None, **typed: object) -> Reply:
        """Open a page, fill in the form on it and send it."""
        action = action or page
        return await self.post(action, await self.fields(page, action, **typed))


def text_of(reply: Reply) -> str:
    return reply.body.decode()


def filled(page: str, action: str, **typed: object) -> dict[str, object]:
    """Return the fields of the last form of a page that goes to `action`."""
    forms = [content for to, content in _FORM.findall(page) if unescape(to) == action]
    assert forms, f"no form goes to {action}"
    form = next((one for one in forms if 'name="confirm"' in one), forms[-1])
    found: dict[str, object] = {name: unescape(value) for name, value in _INPUT.findall(form)}
    if hidden := _TEXTAREA.search(form):
        found["list"] = unescape(hidden[1])
    return {**found, **typed}
