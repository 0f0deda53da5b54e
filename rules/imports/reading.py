"""Reads a roster from a file, whatever its format."""

from typing import Final

from rules.imports.csv_reading import read_csv
from rules.imports.files import FileContents, FileRefusedError, Format
from rules.imports.oneroster import read_oneroster

#: Bytes of a file, as it comes.
MAX_BYTES: Final = 10 * 1024 * 1024
#: Lines of CSV, blank ones too, each of which takes its time: ten to a row that counts.
MAX_LINES: Final = 500_000


def read(body: bytes, format: Format, *, charset: str | None, for_class: bool) -> FileContents:  # noqa: A002
    """Return what a file says of people and their classes.

    `charset` is what whoever sent it calls its encoding, None if they said nothing. `for_class`:
    it is imported into one class, and need not name it (CSV only). Takes seconds for a large file.
    Raises FileRefusedError if it is no roster.
    """
    if len(body) > MAX_BYTES:
        raise FileRefusedError(f"A file has at most {MAX_BYTES // 1024**2} MiB.")
    if format is Format.ONEROSTER:
        return read_oneroster(body)
    if max(body.count(b"\n"), body.count(b"\r")) > MAX_LINES:
        raise FileRefusedError(f"A file has at most {MAX_LINES:,} lines, blank ones too.")
    return read_csv(body, charset, for_class=for_class)
