"""Rosters from files, and into files."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypedDict, Unpack
from uuid import UUID

from class_management_client.models import Import, ImportRow
from class_management_client.requests import File, How, Query, Requests

CSV = "text/csv"
ZIP = "application/zip"
#: Between two looks at an import that is being applied.
POLL_SECONDS = 0.5


class Wanted(TypedDict, total=False):
    """How a file is to be imported.

    `mode`: who is in a class and not in the file stays (`add`, as by default) or leaves (`sync`).
    `course_code`: of new classes for which the file has none. `overwrite`: also what was changed by
    hand since the last import. `filename`: what people call the file.
    """

    mode: str
    course_code: str
    overwrite: bool
    filename: str


@dataclass(frozen=True)
class Imports:
    """Your imports: a file becomes a plan, which you look at and apply."""

    requests: Requests

    async def into_class(
        self, class_id: UUID, content: bytes, wanted: Wanted | None = None, **how: Unpack[How]
    ) -> Import:
        """Plan what a file would change in a class; nothing is changed yet."""
        path = f"/v1/classes/{class_id}/roster/import"
        return await self._planned(path, content, wanted or {}, how)

    async def of_classes(
        self, content: bytes, wanted: Wanted | None = None, **how: Unpack[How]
    ) -> Import:
        """Plan what a file would change in the classes that it names."""
        return await self._planned("/v1/imports", content, wanted or {}, how)

    async def _planned(self, path: str, content: bytes, wanted: Wanted, how: How) -> Import:
        file = File(content, ZIP if content.startswith(b"PK") else CSV)
        return Import.read(*await self.requests.write("POST", path, file, how, _query(wanted)))

    async def all(self) -> AsyncIterator[Import]:
        """Yield your imports, newest first."""
        async for document in self.requests.pages("/v1/imports", "imports"):
            yield Import.model_validate(document)

    async def get(self, import_id: UUID, known: Import | None = None) -> Import:
        """Return an import; `known` itself if it has not changed."""
        return await self.requests.read(Import, _path(import_id), known)

    async def rows(self, import_id: UUID, kind: str | None = None) -> AsyncIterator[ImportRow]:
        """Yield what an import does, row by row; `kind` is one of the summary's."""
        query = {"kind": kind} if kind else {}
        path = f"{_path(import_id)}/rows"
        async for document in self.requests.pages(path, "rows", by=None, query=query):
            yield ImportRow.model_validate(document)

    async def apply(
        self, plan: Import, *, force: bool = False, skip_errors: bool = False, **how: Unpack[How]
    ) -> Import:
        """Have a plan applied; it is being applied when this returns.

        `force`: also if it changes much. `skip_errors`: leave out the classes that have errors.
        """
        said = {"force": force, "skip_errors": skip_errors}
        query = {name: "true" for name, is_so in said.items() if is_so}
        how = {"if_match": plan.tag, **how}
        path = f"{_path(plan.id)}/apply"
        return Import.read(*await self.requests.write("POST", path, None, how, query))

    async def applied(self, import_id: UUID) -> Import:
        """Wait until an import is not being applied any more."""
        found = await self.get(import_id)
        while found.state == "applying":
            await asyncio.sleep(POLL_SECONDS)
            found = await self.get(import_id, found)
        return found

    async def undo(self, import_id: UUID, **how: Unpack[How]) -> Import:
        """Plan what takes an applied import back; apply that one, too."""
        path = f"{_path(import_id)}/undo"
        return Import.read(*await self.requests.write("POST", path, None, how))

    async def export_class(self, class_id: UUID) -> bytes:
        """Return the roster of a class as CSV."""
        return await self.requests.file(f"/v1/classes/{class_id}/roster", CSV)

    async def export(self, form: str = "csv") -> bytes:
        """Return all your classes as `csv`, or as a zip of `oneroster`."""
        return await self.requests.file(f"/v1/export?format={form}", "*/*")


def _path(import_id: UUID) -> str:
    return f"/v1/imports/{import_id}"


def _query(wanted: Wanted) -> Query:
    texts = {name: value for name, value in wanted.items() if isinstance(value, str)}
    return texts | ({"overwrite": "true"} if wanted.get("overwrite") else {})
