"""Documents as they are served and printed: made once, kept as bytes."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any


def as_text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON for people and their version control, line by line."""
    return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n"


class ServedDocument:
    """A document that is made when it is first asked for, which takes a good part of a second."""

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make

    async def body(self) -> bytes:
        """Return the document; the first time it is made beside what else is going on."""
        return await asyncio.to_thread(lambda: self._body)

    @property
    def tag(self) -> str:
        """What changes with the document."""
        return hashlib.blake2b(self._body, digest_size=16).hexdigest()

    @cached_property
    def _body(self) -> bytes:
        text = json.dumps(self._make(), ensure_ascii=False, separators=(",", ":"))
        return text.encode()
