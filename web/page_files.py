"""Files that pages load: others' scripts (the NOTICE beside them), and our own few."""

import asyncio
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file at `stored`, compressed by gzip where that has the suffix, served at `path`."""

    stored: Path
    path: str

    @property
    def name(self) -> str:
        """Its name as pages know it."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def media_type(self) -> str:
        """What it is, by its name."""
        return f"{_TYPES[Path(self.name).suffix]}; charset=utf-8"

    @property
    def packed(self) -> bytes:
        """The file compressed by gzip, as the large ones are stored."""
        return _packed(self.stored)

    @property
    def version(self) -> str:
        """What changes with the content of the file."""
        return _version(self.stored)

    @property
    def url(self) -> str:
        """Where the file is: another address whenever its content is another."""
        return f"{self.path}?v={self.version}"

    async def unpacked(self) -> bytes:
        """Return the file as it is: takes long the first time, so beside what else is going on."""
        return await asyncio.to_thread(_unpacked, self.stored)


def page_files(folder: Path, prefix: str, names: Iterable[str]) -> Mapping[str, PageFile]:
    """Return files of a folder by their names; nothing else is looked up in it."""
    files = {}
    for name in names:
        packed = folder / f"{name}.gz"
        stored = packed if packed.exists() else folder / name
        files[name] = PageFile(stored, f"{prefix}/{name}")
    return MappingProxyType(files)


@cache
def _packed(stored: Path) -> bytes:
    content = stored.read_bytes()
    return content if stored.suffix == ".gz" else gzip.compress(content, mtime=0)


@cache
def _unpacked(stored: Path) -> bytes:
    return gzip.decompress(_packed(stored))


@cache
def _version(stored: Path) -> str:
    return hashlib.blake2b(_packed(stored), digest_size=8).hexdigest()


#: What the pages of /docs load.
DOCS: Final = page_files(
    Path(__file__).with_name("static"),
    "/docs",
    ("page.css", "redoc.js", "swagger-ui.css", "swagger-ui.js", "try.js"),
)
