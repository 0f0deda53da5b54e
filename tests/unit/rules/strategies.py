"""Values of the rules, for hypothesis and for tables of cases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from hypothesis import strategies as st

from rules.models import (
    Association,
    Batch,
    Caller,
    ClassSummary,
    Delivery,
    MatchResult,
    Method,
    OutboxMessage,
    PersonName,
    Record,
    Status,
    Suggestion,
    SuggestionMessage,
    Trace,
)
from rules.text import BIDIRECTIONAL, is_visible, normalised

NOW: Final = datetime(2026, 11, 20, 8, 15, 30, 123456, tzinfo=UTC)
DAY: Final = timedelta(hours=24)
CORRELATION: Final = UUID("11111111-1111-4111-8111-000000000321")
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE: Final = Trace(CORRELATION, TRACEPARENT)
TEACHER: Final = Caller("teacher-1", TRACE)

CLASSES: Final = [UUID(int=100 + i) for i in range(3)]
STUDENTS: Final = [UUID(int=200 + i) for i in range(6)]
BATCHES: Final = [UUID(int=300 + i) for i in range(3)]
ESSAYS: Final = [UUID(int=400 + i) for i in range(6)]

CLASS: Final = ClassSummary(CLASSES[0], "teacher-1", "9A", "SV1")
BATCH: Final = Batch(BATCHES[0], CLASSES[0], None, TRACE)


_LOCALS: Final = st.text(
    st.one_of(
        st.sampled_from("aAbBiIkKsS0+-_åÅßẞıİſΣσςéǰΐﬁŉΩ\u212a\u212b\u0301\u030a\u0307"),
        st.characters(categories=["L", "M", "N"]),
    ),
    min_size=1,
    max_size=12,
)
_DOMAINS: Final = st.sampled_from(
    [
        *("x.example", "X.Example", "bücher.example", "BÜCHER.example", "bu\u0308cher.example"),
        *("xn--bcher-kva.example", "faß.example", "fass.example", "skola.local", "例え。テスト"),
        *("xn--r8jz45g.xn--zckzah", "\uff58.example", "skola.\uff4cocal"),
    ]
)
#: Addresses with much to compare, most of them valid; a few letters make for many that are equal.
addresses = st.builds("{}@{}".format, _LOCALS, _DOMAINS)
ascii_addresses = st.builds(
    "{}@{}".format,
    st.text("aAbBiIkKsS0+-_", min_size=1, max_size=12),
    st.sampled_from(["x.example", "X.Example", "fass.example", "xn--bcher-kva.example"]),
)


def person(first: str = "Åsa", last: str = "Öberg") -> PersonName:
    return PersonName(first, last, f"{first} {last}")


def association(
    essay_id: UUID = ESSAYS[0],
    status: Status = Status.PENDING,
    *,
    suggested: UUID | None = STUDENTS[0],
    student: UUID | None = None,
    confidence: float = 0.9,
    confirm_by: datetime = NOW + DAY,
    method: Method | None = None,
) -> Association:
    """Make an association; what is decided is decided by a human unless `method` says else."""
    decided = status is not Status.PENDING
    by = method or (Method.TIMEOUT if status is Status.TIMEOUT_CONFIRMED else Method.HUMAN)
    return Association(
        essay_id=essay_id,
        batch_id=BATCHES[0],
        suggested_student_id=suggested,
        student_id=student,
        confidence=confidence if suggested else 0.0,
        match_reasons=("name",) if suggested else (),
        status=status,
        method=by if decided else None,
        validated_by="somebody" if decided else None,
        validated_at=NOW if decided else None,
        created_at=NOW - DAY,
        confirm_by=confirm_by,
    )


def deliver(
    event_id: int,
    *results: MatchResult,
    batch_id: UUID = BATCHES[0],
    class_id: UUID = CLASSES[0],
) -> Delivery:
    message = SuggestionMessage(UUID(int=event_id), TRACE, batch_id, class_id, results)
    record = Record("topic", 0, event_id, 0, None, str(event_id).encode(), ())
    return Delivery(record, message)


def result(essay_id: UUID, *students: UUID, confidence: float = 0.9) -> MatchResult:
    return MatchResult(essay_id, tuple(Suggestion(s, confidence, ("name",)) for s in students))


def envelope(message: OutboxMessage) -> dict[str, Any]:
    """Read what a message carries."""
    assert message.value is not None
    value: dict[str, Any] = orjson.loads(message.value)
    return value


def data(message: OutboxMessage) -> dict[str, Any]:
    """Read the event that a message carries."""
    event: dict[str, Any] = envelope(message)["data"]
    return event


def topics_of(messages: Sequence[OutboxMessage]) -> list[str]:
    return [message.topic for message in messages]


# --- for hypothesis ----------------------------------------------------------------------------

confidences = st.floats(0, 1)
suggestions = st.builds(
    Suggestion,
    st.sampled_from(STUDENTS),
    confidences,
    st.lists(st.text(max_size=5), max_size=2).map(tuple),
)
match_results = st.builds(
    MatchResult, st.sampled_from(ESSAYS), st.lists(suggestions, max_size=3).map(tuple)
)
deliveries = st.builds(
    lambda event_id, found, batch_id, class_id: deliver(
        event_id, *found, batch_id=batch_id, class_id=class_id
    ),
    st.integers(1, 12),
    st.lists(match_results, max_size=4),
    st.sampled_from(BATCHES),
    st.sampled_from(CLASSES),
)
names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).filter(
    lambda text: is_visible(normalised(text)) and not BIDIRECTIONAL.search(text)
)
