"""How people are shown what came from outside: nothing of it is obeyed by what shows it."""

from collections.abc import Iterable
from typing import Final

import orjson

BYTES_A_LINE: Final = 16


def text(raw: bytes) -> str:
    """Return bytes as printable text, or in hexadecimal."""
    try:
        return printable(raw.decode())
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"


def printable(line: str) -> str:
    """Escape what would be obeyed: control codes, line ends, changes of direction."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def body(value: bytes | None) -> str:
    """Return the value of a message: indented JSON, text, or a hex dump."""
    if not value:
        return "" if value is None else "(empty)"
    try:
        readable = orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2)
    except orjson.JSONDecodeError:
        readable = value
    try:
        return "\n".join(printable(line) for line in readable.decode().split("\n"))
    except UnicodeDecodeError:
        return "\n".join(_hex_lines(value))


def _hex_lines(value: bytes) -> Iterable[str]:
    for begin in range(0, len(value), BYTES_A_LINE):
        some = value[begin : begin + BYTES_A_LINE]
        plain = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in some)  # noqa: PLR2004  # ASCII
        yield f"{begin:08x}  {some.hex(' '):<47}  {plain}"
