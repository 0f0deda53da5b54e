"""Messages of other services: the envelope, and match suggestions in it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

SUGGESTIONS: Final = "huleedu.batch.author.matches.suggested.v1"
COMMANDS: Final = "huleedu.class.commands.v1"
MATCHING_SERVICE: Final = "nlp_service"

Json = dict[str, Any]


def envelope(
    topic: str,
    data: Mapping[str, Any],
    source: str = MATCHING_SERVICE,
    *,
    at: str | None = None,
    event_id: UUID | None = None,
) -> Json:
    """Return data in an envelope with new ids, written at `at` or now."""
    return {
        "event_id": str(event_id or uuid4()),
        "event_type": topic,
        "event_timestamp": at or datetime.now(UTC).isoformat(),
        "source_service": source,
        "schema_version": 1,
        "correlation_id": str(uuid4()),
        "data_schema_uri": None,
        "data": data,
        "metadata": None,
    }


def matches_suggested(
    batch_id: str, class_id: str, results: Sequence[Json], summary: Mapping[str, int] | None = None
) -> Json:
    """Return a BatchAuthorMatchesSuggestedV1 in its envelope."""
    at = datetime.now(UTC).isoformat()
    data = {
        "event_name": "batch.author.matches.suggested",
        "entity_id": batch_id,
        "entity_type": "batch",
        "parent_id": None,
        "timestamp": at,
        "correlation_id": None,
        "batch_id": batch_id,
        "class_id": class_id,
        "course_code": "SV1",
        "match_results": results,
        "processing_summary": {"total_essays": len(results), **(summary or {})},
        "processing_metadata": {},
    }
    return envelope(SUGGESTIONS, data, at=at)


def match_result(
    suggestions: Sequence[Json],
    *,
    text_id: object,
    filename: str,
    no_match_reason: str | None = None,
    metadata: Mapping[str, str] | None = None,
    essay_id: str | None = None,
) -> Json:
    """Return the matching service's result for an essay."""
    return {
        "essay_id": essay_id or str(uuid4()),
        "text_storage_id": f"text-storage-{text_id}",
        "filename": filename,
        "suggestions": suggestions,
        "no_match_reason": no_match_reason,
        "extraction_metadata": metadata or {},
    }


def suggestion(
    student_id: str, confidence: float, *, name: str, email: str | None, reason: str = "name_fuzzy"
) -> Json:
    """Return a student proposed for an essay."""
    return {
        "student_id": student_id,
        "student_name": name,
        "student_email": email,
        "confidence_score": confidence,
        "match_reasons": [reason],
        "extraction_metadata": {},
    }
