"""What the headers and the query of an upload say of its file."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from rules.imports.files import MAX_FILENAME, Format, shown_name
from web.parameters import optional_text

CSV: Final = "text/csv"
ZIP: Final = "application/zip"
#: What Windows calls a zip.
_OTHER_ZIP: Final = "application/x-zip-compressed"

MAX_UPLOAD: Final = 10 * 1024**2

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {CSV: Format.CSV, ZIP: Format.ONEROSTER, _OTHER_ZIP: Format.ONEROSTER}
)

_EXTENDED: Final = re.compile(r";\s*filename\*\s*=\s*utf-8'[^']*'([^\s;]+)", re.IGNORECASE)
_PLAIN: Final = re.compile(r';\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_ESCAPED: Final = re.compile(r"\\(.)")


def format_of(request: web.Request) -> Format:
    """Return the form of the file, by its media type, which was checked when it was read."""
    return FORMATS[request.content_type]


def filename_of(request: web.Request) -> str | None:
    """Return the file's name, of the query or else of `Content-Disposition`; it is only shown.

    Raises ValidationFailedError for one in the query that cannot be used.
    """
    named = optional_text(request.query, "filename", MAX_FILENAME)
    return named or _disposed(request.headers.get("Content-Disposition", ""))


def _disposed(header: str) -> str | None:
    """Return the name that a header says, None for one that cannot be shown."""
    if extended := _EXTENDED.search(header):
        name = unquote(extended[1])
    elif plain := _PLAIN.search(header):
        name = _ESCAPED.sub(r"\1", plain[1]) if plain[1] is not None else plain[2]
    else:
        return None
    return shown_name(name)
