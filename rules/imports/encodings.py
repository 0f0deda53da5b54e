"""The encodings that rosters come in: as they are named, else as their bytes show."""

import codecs
import io
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rules.imports.files import FileRefusedError
from rules.imports.lines import ReadLine

UTF_8: Final = "utf-8"
UTF_16_LE: Final = "utf-16-le"
UTF_16_BE: Final = "utf-16-be"
WINDOWS: Final = "windows-1252"

#: As WHATWG's encoding standard has them: what is called Latin 1 is Windows-1252.
_NAMES: Final = MappingProxyType(
    dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8"), UTF_8)
    | dict.fromkeys(("utf-16", "utf16", "utf-16le", "utf-16-le", "unicode"), UTF_16_LE)
    | dict.fromkeys(("utf-16be", "utf-16-be"), UTF_16_BE)
    | dict.fromkeys(("windows-1252", "cp1252", "x-cp1252", "ansi"), WINDOWS)
    | dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"), WINDOWS)
)
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, UTF_16_LE),
    (codecs.BOM_UTF16_BE, UTF_16_BE),
)
#: Longer marks that begin like those.
_UTF_32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
#: Bytes of the heading that show whether every other one is NUL; names may be in any script.
_SAMPLE: Final = 64
#: Bytes that are no UTF-8, as Python passes them on, and characters beyond ASCII that are.
_STRAYS: Final = re.compile("[\udc80-\udcff]")
_BEYOND: Final = re.compile("[^\x00-\x7f\udc80-\udcff]")
_LINE_END: Final = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Text:
    """A file that is a text; `start` is where it begins, behind a mark."""

    body: bytes
    encoding: str
    start: int

    def read_line(self) -> ReadLine:
        """Return what reads its lines, from the first one on.

        The bytes are decoded as they are read: a text takes up to four times as much memory.
        """
        source = io.BytesIO(self.body)
        source.seek(self.start)
        return io.TextIOWrapper(source, self.encoding, newline="").readline


def text_of(body: bytes, charset: str | None) -> Text:
    """Return a file as a text.

    A mark at its beginning, or NULs, tell more than a name: programs name UTF-8 whatever it is.
    Raises FileRefusedError.
    """
    encoding, start = _marked(body)
    encoding = encoding or _wide(body[:_SAMPLE])
    if encoding is None:
        encoding = _evident(body) if charset is None else _named(charset)
    if "\x00" in _decoded(body[start:], encoding):
        raise FileRefusedError("The file is not a text.")
    return Text(body, encoding, start)


def _marked(body: bytes) -> tuple[str | None, int]:
    if body.startswith(_UTF_32):
        raise FileRefusedError("The file is in UTF-32: save it as UTF-8.")
    return next(((name, len(mark)) for mark, name in _MARKS if body.startswith(mark)), (None, 0))


def _named(charset: str) -> str:
    name = _NAMES.get(charset.strip().strip("\"'").lower())
    if name is None:
        raise FileRefusedError("The charset is none of UTF-8, UTF-16 and Windows-1252.")
    return name


def _wide(sample: bytes) -> str | None:
    """Return a UTF-16 whose letters are mostly Latin ones: every other byte is NUL."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    # A letter of another script may have a NUL where a Latin one has none.
    if odd > max(len(sample) // 4, 4 * even):
        return UTF_16_LE
    return UTF_16_BE if even > max(len(sample) // 4, 4 * odd) else None


def _evident(body: bytes) -> str:
    """Return UTF-8, or Windows-1252 where it is none: not if it is UTF-8 with something broken."""
    try:
        body.decode(UTF_8)
    except UnicodeDecodeError as error:
        text = body.decode(UTF_8, "surrogateescape")
        strays = len(_STRAYS.findall(text))
        if len(_BEYOND.findall(text)) >= max(strays, 1):
            raise _broken(body, error, UTF_8) from None
        return WINDOWS
    return UTF_8


def _decoded(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise _broken(body, error, encoding) from None


def _broken(body: bytes, error: UnicodeDecodeError, encoding: str) -> FileRefusedError:
    """Return the refusal of bytes that are no text, with their line."""
    before = body[: error.start].decode(encoding, "ignore")
    line = len(_LINE_END.findall(before)) + 1
    called = encoding.replace("utf", "UTF").replace("windows", "Windows")
    return FileRefusedError(f"Line {line} is not {called}: is the file cut off, or mixed?")
