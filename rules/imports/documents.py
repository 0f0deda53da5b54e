"""The JSON of imports and of their rows (docs/contract.md)."""

from dataclasses import asdict

from rules.documents import Json
from rules.imports.plans import ImportRecord, PlannedRow


def import_json(record: ImportRecord) -> Json:
    """Return an import; its tag (rules.tags) is made of this."""
    return {
        "id": record.id,
        "state": record.state,
        "mode": record.mode,
        "class_id": record.class_id,
        "summary": asdict(record.summary),
        "progress": record.progress,
        "is_large": record.is_large,
        "left_out": record.left_out,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "undoes": record.undoes,
        "filename": record.filename,
    }


def row_json(row: PlannedRow, *, left_out: bool) -> Json:
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
