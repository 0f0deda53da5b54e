"""The JSON of imports and their rows (docs/contract.md, section 2, "Rosters from files")."""

from dataclasses import asdict
from typing import Any

from rules.imports.plans import ImportRecord, PlannedRow


def import_json(record: ImportRecord) -> dict[str, Any]:
    """Return an import; its tag is made of this (rules.tags)."""
    return {
        "id": record.id,
        "state": record.state,
        "mode": record.mode,
        "class_id": record.class_id,
        "summary": asdict(record.summary),
        "progress": record.progress,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "undoes": record.undoes,
        "undone_by": record.undone_by,
        "filename": record.filename,
        "is_large": record.is_large,
        "left_out": record.left_out,
    }


def row_json(row: PlannedRow, *, left_out: bool) -> dict[str, Any]:
    """Return a row of a plan."""
    return {
        "line": row.line,
        "file": row.file,
        "kind": row.kind,
        "entity": row.entity,
        "class_id": row.class_id,
        "student_id": row.student_id,
        "before": row.before,
        "after": row.after,
        "errors": row.errors,
        "notices": row.notices,
        "left_out": left_out,
    }
