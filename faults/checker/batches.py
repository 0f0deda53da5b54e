"""Batches: every essay stored once, each batch closed once, not early, and with its event."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from faults.checker.decisions import BY_CLOCK
from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.world import BatchRow, EssayRow, Message
from rules import topics

SUGGESTED = "student_matches_suggested"
ROUNDING = timedelta(milliseconds=1)


def check(index: Index) -> Iterator[Finding]:
    """Check messages of suggestions, and batches."""
    for event_id, records in index.consumed[topics.MATCHES_SUGGESTED].items():
        yield from _message(index, event_id, records)
    yield from _nobodys(index)
    for batch in index.world.batches.values():
        yield from _batch(index, batch)


# --- messages of suggestions -------------------------------------------------------------------


def _message(index: Index, event_id: str, records: Sequence[Message]) -> Iterator[Finding]:
    message = records[0]
    began = index.began(message.correlation_id)
    buried = [r for r in records if index.letters.get(r.place)]
    notices = index.notifications.get((message.correlation_id, SUGGESTED), ())
    essays = {r["essay_id"] for r in message.data["match_results"]}
    stored = essays & index.world.essays.keys()
    what = f"suggestions {event_id}: {len(records)} records, {len(buried)} buried"
    if event_id not in index.world.inbox:
        if not buried:
            yield Finding(Kind.LOST, f"{what}, nothing else", began)
        if notices or stored:
            yield Finding(Kind.UNASKED, f"{what}, and not handled: {len(stored)} essays", began)
        return
    if len(buried) >= len(records) or any(_is_closed(index, record) for record in buried):
        yield Finding(Kind.DOUBLED, f"{what}, and stored", began)
    if len(notices) != 1 and essays:
        kind = Kind.DOUBLED if notices else Kind.LOST
        yield Finding(kind, f"{what}, told {len(notices)} times", began)
    if stored != essays and message.data["class_id"] not in index.asked_classes:
        yield Finding(Kind.LOST, f"{what}, {len(stored)} of {len(essays)} essays", began)


def _is_closed(index: Index, record: Message) -> bool:
    """Whether it became a dead letter because its batch was closed and accepts no more."""
    return any(x.header("dlt-reason") == "batch_closed" for x in index.letters[record.place])


def _nobodys(index: Index) -> Iterator[Finding]:
    """Find essays that are in no message, and batches with essays of others."""
    for essay in index.world.essays.values():
        proposal = index.proposed.get(essay.essay_id)
        if proposal is None or proposal.batch_id != essay.batch_id:
            yield Finding(Kind.UNASKED, f"essay {essay.essay_id} in batch {essay.batch_id}")


# --- batches -----------------------------------------------------------------------------------


def _batch(index: Index, batch: BatchRow) -> Iterator[Finding]:
    essays = index.world.essays_of.get(batch.id, ())
    events = index.confirmed.get(batch.id, ())
    at = _began(index, batch.id)
    wait = timedelta(seconds=index.world.timeout_seconds)
    for essay in essays:
        early = essay.method == BY_CLOCK and (
            essay.validated_at is None
            or essay.validated_at < essay.confirm_by
            or essay.confirm_by - essay.created_at < wait - ROUNDING
        )
        if early:
            yield Finding(Kind.EARLY, f"essay {essay.essay_id} of batch {batch.id}", at)
    if len(events) > 1:
        yield Finding(Kind.DOUBLED, f"batch {batch.id} is told closed {len(events)} times", at)
    if batch.closed_at is None:
        if events:
            yield Finding(Kind.UNASKED, f"batch {batch.id} is told closed, and is open", at)
        pending = sum(essay.method is None for essay in essays)
        # A deleted class's essays were decided before, or are deleted with it.
        if essays and (pending or batch.class_id is not None):
            yield Finding(Kind.STUCK, f"batch {batch.id} is open, {pending} essays pending", at)
        return
    if not events:
        yield Finding(Kind.LOST, f"batch {batch.id} is closed without its event", at)
        return
    yield from _closed(index, batch, essays, events[0], at)


def _closed(
    index: Index,
    batch: BatchRow,
    essays: Sequence[EssayRow],
    event: Message,
    at: float | None,
) -> Iterator[Finding]:
    """Check a closed batch: every essay is decided, the last in the closing transaction."""
    if any(essay.method is None for essay in essays):
        yield Finding(Kind.EARLY, f"batch {batch.id} is closed with pending essays", at)
        return
    # All times of a transaction are that of its beginning: the last to decide may have begun before
    # another one that it then waited for.
    decided = {essay.validated_at for essay in essays}
    if essays and batch.closed_at not in decided:
        what = f"batch {batch.id} was not closed by a decision, but at {batch.closed_at}"
        yield Finding(Kind.STUCK, what, at)
    reported = {a["essay_id"]: a for a in event.data["associations"]}
    rows = {essay.essay_id: essay for essay in essays}
    if reported.keys() != rows.keys() or any(not _same(reported[i], rows[i]) for i in rows):
        yield Finding(Kind.ALTERED, f"batch {batch.id}: its event tells of other essays", at)
    by_clock = any(essay.method == BY_CLOCK for essay in essays)
    processed = len(index.by_batch(topics.TIMEOUT_PROCESSED).get(batch.id, ()))
    if processed != by_clock:
        kind = Kind.LOST if processed < by_clock else Kind.DOUBLED
        yield Finding(kind, f"batch {batch.id}: {processed} events of the clock's part", at)
    notified = len(index.notified_closed.get(batch.id, ()))
    if notified != 1:
        kind = Kind.DOUBLED if notified else Kind.LOST
        yield Finding(kind, f"batch {batch.id}: notified {notified} times that it closed", at)


def _same(reported: dict[str, object], row: EssayRow) -> bool:
    """Whether an event has the same decision as an essay, whose deleted student is null."""
    same_student = row.student_id is None or reported["student_id"] == row.student_id
    return same_student and reported["validation_method"] == row.method


def _began(index: Index, batch_id: str) -> float | None:
    """Return when the last message about a batch was sent."""
    times = [index.began(c) for c in index.correlations_of_batch.get(batch_id, ())]
    return max((time for time in times if time is not None), default=None)
