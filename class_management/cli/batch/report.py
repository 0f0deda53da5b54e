"""Shows the story of a batch: ids, counts and instants."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import click

from class_management.cli import output
from class_management.cli.output import Json, counted, instant, print_table, until
from rules.models import Method, PastDecision
from rules.shown import printable
from rules.story import Essay, Events, Named, Step, Story, in_order, steps

#: Who decides where nobody does.
_WHO: Final = {Method.TIMEOUT.value: "the clock", Method.AUTO.value: "the service, being certain"}


def document(named: Named, story: Story, events: Events) -> Json:
    """Return a story for `--json`."""
    stored = story.stored
    return {
        "batch_id": _plain(story.batch_id),
        "correlation_id": _plain(stored and stored.correlation_id),
        "class_id": _plain(stored and stored.class_id),
        "class_deleted": bool(stored and stored.is_orphaned),
        "owner_id": stored and stored.owner_id,
        "state": _state(story),
        "created_at": _plain(stored and stored.created_at),
        "closed_at": _plain(stored and stored.closed_at),
        "essays": [_essay(essay) for essay in story.essays],
        "pending": len(story.pending),
        "confirm_by": _plain(min((e.confirm_by for e in story.pending), default=None)),
        "named_essays": [_plain(essay_id) for essay_id in named.essays],
        "steps": [
            {"at": _plain(step.at), "step": step.what.value, **_plain_members(step.details)}
            for step in in_order([*steps(story), *events.steps])
        ],
        "events_missing": events.trouble,
    }


def story(named: Named, story: Story, events: Events, *, with_essays: bool) -> None:
    """Print a story for a person."""
    for name, line in _head(named, story).items():
        click.echo(f"{name:<12} {printable(line)}")
    click.echo("")
    shown = output.table("at", "step", "what", gap=2)
    for step in in_order([*steps(story), *events.steps]):
        shown.add_row(instant(step.at), step.what.replace("_", " "), printable(in_words(step)))
    print_table(shown)
    if with_essays and story.essays:
        click.echo("")
        _essays(story.essays)


def in_words(step: Step) -> str:
    """Write what a step says: counts, by whom, until when, where it lies."""
    d = step.details
    who = [f"by {_WHO.get(d.get('method', ''), d['by'])}"] if d.get("by") else []
    place = [f"{d['topic']}/{d['partition']}/{d['offset']}"] if "offset" in d else []
    told = (
        _named(d, "kind", "reason"),
        _named(d, "topic") if "topic" in d and not place else [],
        place,
        [f"event {d['event_id']}"] if d.get("event_id") else [],
        [f"number {d['number']}"] if "number" in d else [],
        who,
        [counted(d["essays"], "essay")] if "essays" in d else [],
        [f"{d[n]:,} {n}" for n in _COUNTS if d.get(n)],
        [f"{name} {instant(d[n])}" for n, name in _INSTANTS.items() if n in d],
        [f"{counted(d['attempts'], 'attempt')}"] if "attempts" in d else [],
        [f"replay of {d['replay_of']}"] if "replay_of" in d else [],
        [f"class {d['class_id']}"] if d.get("class_id") else [],
    )
    return ", ".join(word for words in told for word in words)


_COUNTS: Final = ("suggested", "unmatched", "withdrawn", "confirmed", "rejected")
_INSTANTS: Final = {"deadline": "until", "next_try_at": "next try"}


def _named(details: Mapping[str, Any], *names: str) -> list[str]:
    return [str(details[name]) for name in names if details.get(name)]


def _head(named: Named, story: Story) -> dict[str, str]:
    stored = story.stored
    head = {"batch": str(story.batch_id)}
    if stored:
        gone = ", deleted" if stored.is_orphaned else ""
        head["class"] = f"{stored.class_id or '-'}{gone}"
        head["teacher"] = stored.owner_id or "-"
        head["correlation"] = str(stored.correlation_id)
    head["state"] = f"{_state(story)}, {counted(len(story.essays), 'essay')}{_waiting(story)}"
    if named.essays:
        head["by this id"] = ", ".join(map(str, named.essays))
    return head


def _state(story: Story) -> str:
    if story.stored is None:
        return "parked"
    return "closed" if story.stored.closed_at else "open"


def _waiting(story: Story) -> str:
    if not story.pending:
        return ""
    due = min(essay.confirm_by for essay in story.pending)
    return f", {len(story.pending):,} pending, the next until {instant(due)} ({until(due)})"


def _essays(essays: Sequence[Essay]) -> None:
    shown = output.table("essay", "at", "by", "decision", "student", gap=2)
    for essay in essays:
        for one in essay.decisions:
            student = str(one.student_id or "-")
            by = printable(_WHO.get(one.method.value, one.by))
            shown.add_row(str(essay.id), instant(one.at), by, one.status.value, student)
        if not essay.decisions:
            shown.add_row(str(essay.id), "-", "-", "pending", "-")
    print_table(shown)


def _essay(essay: Essay) -> Json:
    return {
        "essay_id": _plain(essay.id),
        "created_at": _plain(essay.created_at),
        "confirm_by": _plain(essay.confirm_by),
        "suggested": essay.is_suggested,
        "decisions": [_decision(one) for one in essay.decisions],
    }


def _decision(one: PastDecision) -> Json:
    return {
        "at": _plain(one.at),
        "by": one.by,
        "validation_method": one.method.value,
        "validation_status": one.status.value,
        "student_id": _plain(one.student_id),
    }


def _plain_members(details: Mapping[str, Any]) -> Json:
    return {name: _plain(value) for name, value in details.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401  # what JSON has
    """Return an id or an instant as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
