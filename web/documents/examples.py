"""Examples of requests and answers, by their models: one teacher's day, so that they fit together.

Tests send the requests and compare the form of the answers.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rules.courses import COURSES
from rules.inputs import (
    ClassChangeInput,
    CorrectionInput,
    DecisionsInput,
    MergeInput,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
)
from rules.topics import DEAD_LETTER, MATCHES_SUGGESTED
from web.inspection.queries import ComparisonInput
from web.representations import course_json
from web.schemas import (
    batches,
    changes,
    classes,
    documents,
    health,
    imports,
    internal,
    status,
    tables,
)
from web.uploads import CSV

CLASS_ID: Final = "0198f1bf-0e4a-7b1c-a6d5-2f8e4c6a1b01"
STUDENT_ID: Final = "0198f1c0-52aa-7d20-8a34-6c1f0e9b7d02"
OTHER_STUDENT_ID: Final = "0198f1c0-7c31-7e08-b8f2-90d1a2b3c403"
BATCH_ID: Final = "0198f1c1-9b60-7f44-9c11-5a7b8d9e0f04"
CORRELATION_ID: Final = "0198f1c2-8d57-7c3e-9f0a-3b1d5e7c9a11"
ESSAY_ID: Final = "0198f1c1-a2d7-7a52-8e63-1b2c3d4e5f05"
IMPORT_ID: Final = "0198f1c2-1c48-7b90-a5d1-7e6f5d4c3b06"

_BEFORE: Final = "2026-03-02T08:05:00.000000+00:00"
_NOW: Final = "2026-03-02T09:30:00.000000+00:00"
_AFTER: Final = "2026-03-03T09:00:00.000000+00:00"

_NAME: Final = {"first_name": "Åsa", "last_name": "Öberg", "legal_full_name": "Åsa Öberg"}
_EMAIL: Final = "asa.oberg@skola.example"
_EXTERNAL_ID: Final = "pupil-4711"

_STUDENT: Final = {
    "id": STUDENT_ID,
    "person_name": _NAME,
    "first_name": "Åsa",
    "last_name": "Öberg",
    "full_name": "Åsa Öberg",
    "email": _EMAIL,
    "external_id": _EXTERNAL_ID,
    "class_ids": [CLASS_ID],
    "is_placeholder": False,
    "created_at": _BEFORE,
    "updated_at": _BEFORE,
}
_CLASS: Final = {
    "id": CLASS_ID,
    "name": "9A",
    "course_code": "SV1",
    "external_id": "9A-2026",
    "student_count": 1,
    "created_at": _BEFORE,
    "updated_at": _BEFORE,
}
_PAGINATION: Final = {"limit": 20, "returned": 1, "next_cursor": None}
_SUGGESTION: Final = {
    "student_id": STUDENT_ID,
    "student_name": "Åsa Öberg",
    "confidence_score": 0.92,
    "match_reasons": ["The name stands in the header."],
}
_ASSOCIATION: Final = {
    "essay_id": ESSAY_ID,
    "filename": "asa-oberg.docx",
    "suggested_student_id": STUDENT_ID,
    "student_id": None,
    "student_name": "Åsa Öberg",
    "confidence_score": 0.92,
    "match_reasons": ["The name stands in the header."],
    "suggestions": [_SUGGESTION],
    "validation_status": "pending_validation",
    "validation_method": None,
    "validated_by": None,
    "validated_at": None,
    "created_at": _BEFORE,
    "confirm_by": _AFTER,
}
_BATCH: Final = {
    "batch_id": BATCH_ID,
    "class_id": CLASS_ID,
    "class_name": "9A",
    "course_code": "SV1",
    "state": "pending",
    "associations_total": 1,
    "associations_pending": 1,
    "associations_unmatched": 0,
    "confirm_by": _AFTER,
    "created_at": _BEFORE,
    "closed_at": None,
}
_ESSAY_STUDENT: Final = {
    "essay_id": ESSAY_ID,
    "student_id": STUDENT_ID,
    "student_person_name": _NAME,
}

_WORKER: Final = "worker-1:5002"
_HOLDING: Final = {"worker": _WORKER, "partitions": [0, 1, 2, 3, 4, 5, 6, 7], "recovered": True}
_WORKER_TABLE: Final = {
    "worker": _WORKER,
    "partitions": [0, 1, 2, 3, 4, 5, 6, 7],
    "entries": 1,
    "recovered": True,
    "changelog_lag": 0,
    "reachable": True,
}
_ENTRY: Final = {
    "batch_id": BATCH_ID,
    "class_id": CLASS_ID,
    "pending_count": 1,
    "confirm_by": _AFTER,
    "armed_at": _BEFORE,
    "partition": 3,
    "worker": _WORKER,
}
_FOUND: Final = {
    "checked": 1,
    "missing": 0,
    "stale": 0,
    "different": 0,
    "mended": 0,
    "examples": [],
}
_COMPARISON: Final = {
    "running": False,
    "repair": False,
    "started_at": _BEFORE,
    "finished_at": _BEFORE,
    **_FOUND,
}

_IMPORT: Final = {
    "id": IMPORT_ID,
    "state": "planned",
    "mode": "add",
    "class_id": CLASS_ID,
    "summary": {
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "joined": 0,
        "left": 0,
        "deleted": 0,
        "errors": 0,
        "classes_created": 0,
        "classes_updated": 0,
    },
    "progress": 0.0,
    "created_at": _NOW,
    "expires_at": _AFTER,
    "undoes": None,
    "undone_by": None,
    "filename": "9A.csv",
    "is_large": False,
    "left_out": [],
}
_ROW: Final = {
    "line": 2,
    "file": "",
    "kind": "created",
    "entity": "student",
    "class_id": CLASS_ID,
    "student_id": STUDENT_ID,
    "before": None,
    "after": {"first_name": "Åsa", "last_name": "Öberg", "email": _EMAIL},
    "errors": [],
    "notices": [],
    "left_out": False,
}

#: Files that are imported, by the name of the operation and the media type.
FILES: Final[Mapping[tuple[str, str], str]] = {
    ("importRoster", CSV): f"First name,Last name,Email\r\nÅsa,Öberg,{_EMAIL}\r\n",
    ("importClasses", CSV): "Class,Course,First name,Last name\r\n9A,SV1,Åsa,Öberg\r\n",
}

EXAMPLES: Final[Mapping[type[BaseModel], Any]] = {
    NewClassInput: {"name": "9A", "course_codes": ["SV1"], "external_id": "9A-2026"},
    ClassChangeInput: {"name": "9A, spring"},
    NewStudentInput: {
        "person_name": {"first_name": "Åsa", "last_name": "Öberg"},
        "email": _EMAIL,
        "external_id": _EXTERNAL_ID,
        "class_ids": [CLASS_ID],
    },
    StudentChangeInput: {"email": None, "remove_class_ids": [CLASS_ID]},
    MergeInput: {"into": OTHER_STUDENT_ID},
    DecisionsInput: {
        "associations": [{"essay_id": ESSAY_ID, "student_id": STUDENT_ID, "confirmed": True}],
        "confirm_suggested": {"min_confidence": 0.9},
    },
    CorrectionInput: {"student_id": OTHER_STUDENT_ID},
    ComparisonInput: {"repair": False},
    classes.Class: _CLASS,
    classes.ClassDetail: {**_CLASS, "students": [_STUDENT]},
    classes.ClassDeletion: {"batches_open": 1, "associations_pending": 12},
    classes.ClassPage: {
        "classes": [_CLASS],
        "pagination": {"limit": 20, "offset": 0, "returned": 1, "next_cursor": None},
    },
    classes.Roster: {
        "students": [
            {
                "student_id": STUDENT_ID,
                "first_name": "Åsa",
                "last_name": "Öberg",
                "full_legal_name": "Åsa Öberg",
                "email": _EMAIL,
            }
        ]
    },
    classes.Student: _STUDENT,
    classes.StudentPage: {"students": [_STUDENT], "pagination": _PAGINATION},
    classes.Courses: {"courses": [course_json(course) for course in COURSES.values()]},
    batches.BatchPage: {"batches": [_BATCH], "server_time": _NOW, "pagination": _PAGINATION},
    batches.BatchAssociations: {
        "batch_id": BATCH_ID,
        "class_id": CLASS_ID,
        "confirm_by": _AFTER,
        "closed_at": None,
        "associations": [_ASSOCIATION],
        "pagination": {"limit": None, "returned": 1, "next_cursor": None},
        "server_time": _NOW,
    },
    batches.Association: _ASSOCIATION,
    batches.Decided: {
        "status": "confirmed",
        "associations_confirmed": 1,
        "associations_rejected": 0,
        "associations_pending": 0,
    },
    batches.AssociationHistory: {
        "history": [
            {
                "at": _NOW,
                "by": "teacher-1",
                "method": "human",
                "student_id": STUDENT_ID,
                "validation_status": "confirmed",
            }
        ]
    },
    changes.ChangePage: {
        "changes": [
            {
                "sequence": 4711,
                "at": _BEFORE,
                "kind": "updated",
                "entity": "class",
                "id": CLASS_ID,
                "external_id": None,
                "owner": "teacher-1",
                "by": "teacher-1",
                "correlation_id": CORRELATION_ID,
                "version": 2,
                "data": {"name": "9A, spring", "course_code": "SV1"},
                "before": {"name": "9A", "course_code": "SV1"},
            }
        ],
        "next_cursor": "AVsiY2hhbmdlcyIsIjAxOThmMWMzLTAxYTQtNzRmMS1iMmQ3LTRlNmY4IiwxXQ",
        "more": False,
    },
    changes.History: {
        "history": [
            {
                "at": _BEFORE,
                "by": "teacher-1",
                "kind": "updated",
                "entity": "class",
                "class_id": CLASS_ID,
                "before": {"name": "9A", "course_code": "SV1"},
                "after": {"name": "9A, spring", "course_code": "SV1"},
                "correlation_id": CORRELATION_ID,
            }
        ],
        "pagination": {"limit": 100, "returned": 1, "next_cursor": None},
    },
    internal.EssayStudents: [_ESSAY_STUDENT],
    internal.EssayStudent: _ESSAY_STUDENT,
    internal.ClassInfos: {BATCH_ID: {"class_id": CLASS_ID, "class_name": "9A"}},
    internal.ValidationStatuses: {
        BATCH_ID: {
            "batch_id": BATCH_ID,
            "deviation_count": 1,
            "auto_confirm_deadline": _AFTER,
            "total_associations": 1,
            "confirmed_associations": 0,
        }
    },
    tables.Tables: {
        "tables": [
            {
                "name": "pending-associations",
                "entries": 1,
                "partitions": 8,
                "complete": True,
                "workers": [_WORKER_TABLE],
            }
        ]
    },
    tables.EntryPage: {"entries": [_ENTRY], "next_cursor": None, "complete": True},
    tables.EntryInDetail: {
        **_ENTRY,
        "database": {"pending_count": 1, "confirm_by": _AFTER, "closed_at": None},
    },
    tables.Drift: {
        "complete": True,
        "running": False,
        **_FOUND,
        "workers": [{"worker": _WORKER, "reachable": True, **_COMPARISON}],
    },
    tables.PartTable: {"holding": _HOLDING, "table": _WORKER_TABLE},
    tables.PartPage: {"holding": _HOLDING, "entries": [_ENTRY], "more": False},
    tables.PartEntry: {"holding": _HOLDING, "entry": _ENTRY},
    tables.PartDrift: {"holding": _HOLDING, "last": _COMPARISON},
    status.PartStatus: {
        "holding": _HOLDING,
        "status": {
            "version": "0.1.0",
            "role": "all",
            "started_at": _NOW,
            "health": "healthy",
            "checks": {"topics": "ok"},
            "dependencies": [{"name": "database", "state": "ok", "since": _NOW}],
            "lag": [{"topic": MATCHES_SUGGESTED, "partition": 0, "messages": 3}],
            "changelog_lag": 0,
            "timers_held": 400,
            "decided": 1200,
            "late": 0,
            "dead_letters": [{"topic": DEAD_LETTER[0], "open": 2}],
            "requests": {"seconds": 61.2, "good": 1480, "refused": 3, "failed": 0},
        },
    },
    documents.AsyncApi: {
        "asyncapi": "3.0.0",
        "info": {"title": "Class Management: events", "version": "0.1.0"},
        "channels": {},
        "operations": {},
        "components": {},
    },
    documents.OpenApi: {
        "openapi": "3.1.0",
        "info": {"title": "Class Management Service", "version": "0.1.0"},
        "paths": {},
        "components": {},
    },
    imports.Import: _IMPORT,
    imports.ImportPage: {"imports": [_IMPORT], "pagination": _PAGINATION},
    imports.ImportRowPage: {
        "rows": [_ROW],
        "pagination": {"limit": 100, "returned": 1, "next_cursor": None},
    },
    health.Health: {
        "service": "class_management_service",
        "status": "healthy",
        "version": "0.1.0",
        "checks": {"event_loop": "ok"},
        "dependencies": {"database": "ok", "kafka": "ok", "redis": "ok", "stream": "ok"},
        "environment": "production",
    },
}
