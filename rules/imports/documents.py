"""The JSON of imports (docs/contract.md, section 2, "Rosters from files, and what changed")."""

from dataclasses import asdict
from typing import Any

from rules.imports.plans import ImportRecord


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
        "filename": record.filename,
        "is_large": record.is_large,
        "left_out": record.left_out,
    }
