"""Batches: every essay stored once, each batch closed once, not early, and with its event."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
    own = {one for one in stored if index.world.essays[one].batch_id == message.data["batch_id"]}
    if event_id not in index.world.inbox:
        if not buried:
            yield Finding(Kind.LOST, f"{what}, nothing else", began)
        if notices or any(len(index.proposed[one]) == 1 for one in own):
            yield Finding(Kind.UNASKED, f"{what}, and not handled: {len(stored)} essays", began)
        return
    if len(buried) >= len(records) or any(_is_closed(index, record) for record in buried):
        yield Finding(Kind.DOUBLED, f"{what}, and stored", began)
    least, most = _notices(index, essays, own)
    if not least <= len(notices) <= most:
        kind = Kind.DOUBLED if len(notices) > most else Kind.LOST
        yield Finding(kind, f"{what}, told {len(notices)} times", began)
    if stored != essays:
        yield Finding(Kind.LOST, f"{what}, {len(stored)} of {len(essays)} essays", began)
    if message.data["batch_id"] not in index.world.batches:
        yield Finding(Kind.LOST, f"{what}, and its batch is not there", began)


def _notices(index: Index, essays: AbstractSet[str], own: AbstractSet[str]) -> tuple[int, int]:
    """Return how often a message's suggestions are told at least, and at most.

    Only those that it brings are told: of essays in several messages one has brought them.
    """
    alone = any(len(index.proposed[one]) == 1 for one in essays)
    return int(alone), int(bool(own))


def _is_closed(index: Index, record: Message) -> bool:
    """Whether it became a dead letter because its batch accepts no more."""
    reasons = {letter.header("dlt-reason") for letter in index.letters[record.place]}
    return bool(reasons & {"batch_closed", "class_deleted"})


def _nobodys(index: Index) -> Iterator[Finding]:
    """Find essays that are in no message of their batch."""
    for essay in index.world.essays.values():
        if not index.proposals(essay):
            yield Finding(Kind.UNASKED, f"essay {essay.essay_id} in batch {essay.batch_id}")


# --- batches -----------------------------------------------------------------------------------


def _batch(index: Index, batch: BatchRow) -> Iterator[Finding]:
    essays = index.world.essays_of.get(batch.id, ())
    events = index.confirmed.get(batch.id, ())
    at = _began(index, batch.id)
    wait = timedelta(seconds=index.world.timeout_seconds)
    for essay in essays:
        by_clock = [d for d in index.world.decisions(essay) if d.method == BY_CLOCK]
        short = essay.confirm_by - essay.created_at < wait - ROUNDING
        if by_clock and (short or by_clock[0].validated_at < essay.confirm_by):
            yield Finding(Kind.EARLY, f"essay {essay.essay_id} of batch {batch.id}", at)
    if len(events) > 1:
        yield Finding(Kind.DOUBLED, f"batch {batch.id} is told closed {len(events)} times", at)
    if batch.closed_at is None:
        if events:
            yield Finding(Kind.UNASKED, f"batch {batch.id} is told closed, and is open", at)
        pending = sum(essay.method is None for essay in essays)
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
    decided = {d.validated_at for essay in essays for d in index.world.decisions(essay)}
    if essays and batch.closed_at not in decided:
        what = f"batch {batch.id} was not closed by a decision, but at {batch.closed_at}"
        yield Finding(Kind.STUCK, what, at)
    reported = {a["essay_id"]: a for a in event.data["associations"]}
    rows = {essay.essay_id: essay for essay in essays}
    is_told = reported.keys() == rows.keys() and all(
        _is_reported(index, reported[one], rows[one]) for one in rows
    )
    if not is_told or event.data["class_id"] != index.class_of_batch.get(batch.id):
        yield Finding(Kind.ALTERED, f"batch {batch.id}: its event tells of other essays", at)
    else:
        yield from _follows(index, batch, rows, {i: a["student_id"] for i, a in reported.items()})
    # A correction takes nothing of it back.
    by_clock = any(d.method == BY_CLOCK for e in essays for d in index.world.decisions(e))
    if event.data["timeout_triggered"] != by_clock:
        yield Finding(Kind.ALTERED, f"batch {batch.id}: its event is wrong about the clock", at)
    processed = len(index.by_batch(topics.TIMEOUT_PROCESSED).get(batch.id, ()))
    if processed != by_clock:
        kind = Kind.LOST if processed < by_clock else Kind.DOUBLED
        yield Finding(kind, f"batch {batch.id}: {processed} events of the clock's part", at)
    notified = len(index.notified_closed.get(batch.id, ()))
    if notified != 1:
        kind = Kind.DOUBLED if notified else Kind.LOST
        yield Finding(kind, f"batch {batch.id}: notified {notified} times that it closed", at)


def _is_reported(index: Index, reported: Mapping[str, str | None], row: EssayRow) -> bool:
    """Whether an event has a decision of the essay, which may have been corrected since."""
    student, method = reported["student_id"], reported["validation_method"]
    return any(
        method == decision.method and index.is_same(student, decision.student_id)
        for decision in index.world.decisions(row)
    )


def _follows(
    index: Index,
    batch: BatchRow,
    rows: Mapping[str, EssayRow],
    told: dict[str, str | None],
) -> Iterator[Finding]:
    """Check that who reads all events of a batch knows whose its essays are now."""
    for update in index.by_batch(topics.ASSOCIATION_UPDATED).get(batch.id, ()):
        told[str(update.data["essay_id"])] = update.data["student_id"]
    for one, row in rows.items():
        student = told[one]
        deleted = row.student_id is None and student not in index.world.students
        if student != row.student_id and not deleted:
            what = f"essay {one} is {row.student_id}'s, and told to be {student}'s"
            yield Finding(Kind.REORDERED, what, _began(index, batch.id))


def _began(index: Index, batch_id: str) -> float | None:
    """Return when the last message about a batch was sent."""
    times = [index.began(c) for c in index.correlations_of_batch.get(batch_id, ())]
    return max((time for time in times if time is not None), default=None)
