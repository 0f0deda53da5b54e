"""The files that the pages of /docs load: others' viewers (web/static/NOTICE), and our own few."""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

_FOLDER: Final = Path(__file__).with_name("static")

#: What may be asked for, and its media type: nothing else is looked up in the folder.
FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "page.css": "text/css; charset=utf-8",
        "redoc.js": "text/javascript; charset=utf-8",
        "swagger-ui.css": "text/css; charset=utf-8",
        "swagger-ui.js": "text/javascript; charset=utf-8",
        "try.js": "text/javascript; charset=utf-8",
    }
)


@cache
def packed(name: str) -> bytes:
    """Return a file compressed by gzip, as the large ones are stored."""
    stored = _FOLDER / f"{name}.gz"
    if stored.exists():
        return stored.read_bytes()
    return gzip.compress((_FOLDER / name).read_bytes(), mtime=0)


async def unpacked(name: str) -> bytes:
    """Return a file as it is, which takes long the first time: beside what else is going on."""
    return await asyncio.to_thread(_unpacked, name)


@cache
def _unpacked(name: str) -> bytes:
    return gzip.decompress(packed(name))


@cache
def version_of(name: str) -> str:
    """Return what changes with the content of a file."""
    return hashlib.blake2b(packed(name), digest_size=8).hexdigest()
