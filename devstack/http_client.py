"""One HTTP request on its own connection, for probes and programs without an event loop."""

import http
import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

from devstack.ports import LOOPBACK

REQUEST_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    body: bytes
    headers: Message = field(default_factory=Message, compare=False)

    @property
    def is_ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == http.HTTPStatus.OK

    @property
    def text(self) -> str:
        """The body, with a replacement character for invalid UTF-8."""
        return self.body.decode(errors="replace")


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    host: str = LOOPBACK,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = REQUEST_SECONDS,
) -> Answer:
    """Send a request. Raises `OSError` or `HTTPException` if there is no answer."""
    link = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        link.request(method, path, body, dict(headers or {}))
        answer = link.getresponse()
        return Answer(answer.status, answer.read(), answer.headers)
    finally:
        link.close()
