"""Documents as they are served and printed: made once, kept as bytes."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any


def as_text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON for people and their version control, line by line."""
    return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n"


@dataclass(frozen=True, slots=True)
class Forms:
    """A document as bytes, as it is and compressed by gzip; `tag` changes with it."""

    plain: bytes
    packed: bytes
    tag: str


class ServedDocument:
    """A document that is made when it is first asked for, which takes a good part of a second."""

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make = make
        self._making = Lock()
        self._forms: Forms | None = None

    async def forms(self) -> Forms:
        """Return the document; the first time it is made beside what else is going on."""
        if self._forms is not None:
            return self._forms
        return await asyncio.to_thread(self._made)

    def _made(self) -> Forms:
        with self._making:
            if self._forms is None:
                self._forms = _forms_of(self._make())
            return self._forms


def _forms_of(document: Mapping[str, Any]) -> Forms:
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    # Without the time: each process has the same bytes under the tag.
    packed = gzip.compress(plain, mtime=0)
    return Forms(plain, packed, hashlib.blake2b(plain, digest_size=16).hexdigest())
