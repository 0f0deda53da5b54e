"""Files with personal data: only their owner can read them, and they are whole or not there."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import orjson

from class_management.cli.output import Json, standard_output
from class_management.cli.privacy import report
from class_management.cli.runner import TroubleError
from rules.personal.subjects import Subject
from store.protocols.privacy import NothingStoredError

_OWN: Final = 0o600


class Document:
    """A JSON document that is written row by row; the rows of a table come one after the other."""

    def __init__(self, file: IO[bytes], head: Json) -> None:
        self._file = file
        self._head = head
        self._table: str | None = None

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Write a row."""
        if table != self._table:
            begin = orjson.dumps(self._head).removesuffix(b"}") + b',"tables":{'
            end = begin if self._table is None else b"\n],"
            self._file.write(end + b"\n" + orjson.dumps(table) + b":[")
        self._file.write((b"\n" if table != self._table else b",\n") + orjson.dumps(row))
        self._table = table

    def end(self) -> None:
        """Write the end. Raises NothingStoredError if there was no row."""
        if self._table is None:
            raise NothingStoredError
        self._file.write(b"\n]}}\n")


@contextmanager
def document(path: str | None, subject: Subject) -> Iterator[Document]:
    """Yield a document for a file, or for standard output.

    Raises TroubleError, and NothingStoredError if nothing was added: then no file is left.
    """
    with _opened(path) as file:
        begun = Document(file, report.head(subject))
        yield begun
        begun.end()


def write_report(path: str | None, content: Json) -> None:
    """Write a report into a file, if one was named. Raises TroubleError."""
    if path is not None:
        with _opened(path) as file:
            file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def _opened(path: str | None) -> Iterator[IO[bytes]]:
    """Yield a file that takes its place in the end."""
    if path is None:
        with standard_output() as file:
            yield file
        return
    part = Path(f"{path}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN), "wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise TroubleError(f"{path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
