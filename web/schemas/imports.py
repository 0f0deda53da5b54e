"""Imports of rosters."""

from typing import Any

from pydantic import Field

from rules.imports.plans import ImportState, Mode, NoticeCode, RowEntity, RowKind
from web.schemas.base import Count, Id, Instant, Output, Pagination


class ImportSummary(Output):
    """How many rows of a plan are of each kind; classes are counted apart."""

    created: Count
    updated: Count
    unchanged: Count
    joined: Count
    left: Count
    deleted: Count
    errors: Count
    classes_created: Count
    classes_updated: Count


class Import(Output):
    """A plan of what a file would change, and how far applying it is."""

    id: Id
    state: ImportState
    mode: Mode
    class_id: Id | None = Field(description="The class that is imported into; null: many.")
    summary: ImportSummary
    progress: float = Field(ge=0, le=1, description="How much of it is applied.")
    is_large: bool = Field(
        description="Whether it takes out more than a tenth, or changes more than three quarters, "
        "of a class, and so needs `force`."
    )
    left_out: list[Id] = Field(
        description="Classes that were not applied: they had moved, or had errors."
    )
    created_at: Instant
    expires_at: Instant = Field(description="When a plan that nobody applied is forgotten.")
    undoes: Id | None = Field(description="The import that it takes back.")
    undone_by: Id | None = Field(
        description="The latest import that takes it back, and is applied or being applied."
    )
    filename: str | None


class ImportPage(Output):
    """A page of imports."""

    imports: list[Import]
    pagination: Pagination


class ImportCellError(Output):
    """A fault of a cell: what kind of value stands there, not the value."""

    column: str
    value_kind: str
    detail: str


class ImportNotice(Output):
    """Something about a row that is worth a look."""

    code: NoticeCode
    detail: str
    student_id: Id | None
    other_line: int | None


class ImportRow(Output):
    """A row of a plan: one effect on one student or class."""

    line: int | None = Field(description="Of the file, from 1; null for who is missing in it.")
    file: str = Field(description="The member of a zip that the line is in.")
    kind: RowKind
    entity: RowEntity
    class_id: Id | None = Field(description="The class with which the row is applied.")
    student_id: Id | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    errors: list[ImportCellError]
    notices: list[ImportNotice]
    left_out: bool = Field(description="Whether its class was not applied.")


class ImportRowPage(Output):
    """A page of rows, in the order of the plan."""

    rows: list[ImportRow]
    pagination: Pagination
