"""Notifications: one for each event that a teacher must be notified of, and no others."""

from collections import Counter
from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.sender import FLOOD
from rules import topics

CLASS_CREATED = "class_created"
STUDENT_ADDED = "student_added_to_class"
TIMEOUT_PROCESSED = "validation_timeout_processed"

Notice = tuple[str, str, str]


def check(index: Index) -> Iterator[Finding]:
    """Compare the notifications with the events; `batches` checks those of batches."""
    wanted = Counter(_wanted(index))
    sent = Counter(
        (m.correlation_id, kind, str(m.data["teacher_id"]))
        for (_, kind), found in index.notifications.items()
        if kind in {CLASS_CREATED, STUDENT_ADDED, TIMEOUT_PROCESSED}
        for m in found
    )
    for kind, missing in ((Kind.LOST, wanted - sent), (Kind.DOUBLED, sent - wanted)):
        for (correlation_id, of, teacher), count in missing.items():
            what = f"{count} notifications {of} for {teacher}, correlation {correlation_id}"
            yield Finding(kind, what, index.began(correlation_id))


def _wanted(index: Index) -> Iterator[Notice]:
    for event in index.world.events(topics.CLASS_CREATED):
        yield event.correlation_id, CLASS_CREATED, str(event.data.get("user_id"))
    for event in index.world.events(topics.STUDENT_CREATED):
        for _ in event.data.get("class_ids", ()):
            yield event.correlation_id, STUDENT_ADDED, str(event.data.get("created_by_user_id"))
    for event in index.world.events(topics.STUDENT_UPDATED):
        for _ in event.data.get("add_class_ids", ()):
            yield event.correlation_id, STUDENT_ADDED, str(event.data.get("updated_by_user_id"))
    for event in index.world.events(topics.TIMEOUT_PROCESSED):
        op = index.ops.get(event.correlation_id)
        # Floods of the outbox cause no notifications.
        if op is None or op.kind != FLOOD:
            yield event.correlation_id, TIMEOUT_PROCESSED, str(event.data.get("user_id"))
