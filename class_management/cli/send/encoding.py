"""Reads the lines of a file in UTF-8, and says of another encoding which it is."""

import codecs
from collections.abc import Sequence
from typing import Final

from class_management.cli.runner import TroubleError

#: The longer ones first: that of UTF-32 begins like that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
#: Without a mark: how the brace or blank that JSON begins with is written.
_BEGINNINGS: Final = {4: "UTF-32", 2: "UTF-16"}
_CONTROLS: Final = frozenset(range(0x20)) - frozenset(b"\t\r")
_UNKNOWN: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_SAVE: Final = "save it as UTF-8"


def utf8_lines(content: bytes) -> Sequence[bytes]:
    """Return the lines, without marks of UTF-8. Raises TroubleError for any other encoding."""
    if name := _wide(content):
        raise TroubleError(f"the input is {name}: {_SAVE}; nothing was sent")
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        _check(number, line)
    # Files that were put together have theirs in the middle.
    return [line.removeprefix(codecs.BOM_UTF8) for line in lines]


def _wide(content: bytes) -> str | None:
    """Return the name of an encoding in which every character takes two bytes or more."""
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    for width, name in _BEGINNINGS.items():
        first = content[:width]
        if len(first) == width and first.count(0) == width - 1 and 0 in {first[0], first[-1]}:
            return name
    return None


def _check(number: int, line: bytes) -> None:
    try:
        line.decode()
    except UnicodeDecodeError:
        raise TroubleError(
            f"line {number}: is {_narrow(line)}: {_SAVE}; nothing was sent"
        ) from None


def _narrow(line: bytes) -> str:
    """Name what is not UTF-8; of what Windows writes no byte is unknown, and none a control."""
    if _CONTROLS.isdisjoint(line) and _UNKNOWN.isdisjoint(line):
        return "not UTF-8, it looks like Windows-1252"
    return "not UTF-8"
