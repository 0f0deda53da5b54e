"""The messages of the matching service."""

from collections.abc import Sequence

from devstack.demo.roster import (
    AT_THRESHOLD,
    BELOW_THRESHOLD,
    CHOICES_OF_TWO,
    FAILED,
    UNMATCHED,
    Student,
)
from devstack.rig import envelopes
from devstack.rig.envelopes import Json


def suggested_event(batch_id: str, class_id: str, results: Sequence[Json]) -> Json:
    """Return a BatchAuthorMatchesSuggestedV1 in its envelope."""
    failed = sum("error" in r["extraction_metadata"] for r in results)
    matched = sum(bool(r["suggestions"]) for r in results)
    summary = {
        "processed": len(results) - failed,
        "matched": matched,
        "unmatched": len(results) - matched - failed,
        "failed": failed,
    }
    return envelopes.matches_suggested(batch_id, class_id, results, summary)


def result_of(essay_id: str, place: int, students: Sequence[Student]) -> Json:
    """Return the suggestion for the essay of the student at an index."""
    essay = match_result(essay_id, place)
    if place in FAILED:
        return essay | {"no_match_reason": "Processing error: content service answered 503"}
    if place in UNMATCHED:
        return essay | {"no_match_reason": "No matches found"}
    if place in CHOICES_OF_TWO:
        second = students[place - len(CHOICES_OF_TWO)]
        proposed = [(second, 0.74, "name_fuzzy"), (students[place], 0.71, "name_partial")]
    elif place in AT_THRESHOLD:
        proposed = [(students[place], 0.70, "first_last_match")]
    elif place in BELOW_THRESHOLD:
        proposed = [(students[place], 0.69, "name_fuzzy")]
    else:
        proposed = [(students[place], 0.97, "email_exact")]
    return essay | {"suggestions": [suggestion(*proposal) for proposal in proposed]}


def match_result(essay_id: str, place: int) -> Json:
    """Return all essays without any proposed student."""
    return envelopes.match_result(
        [],
        essay_id=essay_id,
        text_id=f"{place + 1:04}",
        filename=f"Elevtext {place + 1}.docx",
        metadata={"error": "content service answered 503"} if place in FAILED else {},
    )


def suggestion(student: Student, confidence: float, reason: str) -> Json:
    """Return one proposed student."""
    name, email = student.name, student.email
    return envelopes.suggestion(student.id, confidence, name=name, email=email, reason=reason)
