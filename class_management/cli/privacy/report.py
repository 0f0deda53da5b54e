"""What people are told of an export or an erasing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import click

from class_management.cli import output
from class_management.cli.output import Json, instant, print_table
from rules.personal.declarations import OTHERS, TABLES, Topic, Whose, topics_with
from rules.personal.subjects import Kind, Report, Subject


def table(counts: Mapping[str, int], what: str) -> None:
    """Print the number of rows of each table, and how long rows are kept there."""
    shown = output.table("table", what, "kept", right={what}, gap=2)
    for name, number in sorted(counts.items()):
        shown.add_row(name, f"{number:,}", TABLES[name].kept if name in TABLES else "")
    print_table(shown)


def explain(subject: Subject) -> None:
    """Print what stays on topics, and until when."""
    click.echo("Kafka's topics keep what was published, with names or ids, at most until:")
    shown = output.table("topic", "until", gap=2)
    for topic, until in _until(subject):
        shown.add_row(topic.name, instant(until))
    print_table(shown)


def document(
    subject: Subject,
    counts: Mapping[str, int],
    report: Report | None = None,
    *,
    dry_run: bool = False,
) -> Json:
    """Return the report as JSON. Of a user it has the id: keep it where that may be kept."""
    erased: Json = {}
    if report:
        erased = {
            "erasure": str(report.erasure.id),
            "pseudonym": report.erasure.pseudonym if subject.kind is Kind.USER else None,
            "started_at": _written(report.started_at),
            "finished_at": _written(report.finished_at) if report.finished_at else None,
            "unfinished": list(report.unfinished),
        }
    return {**head(subject), "dry_run": dry_run, **erased, "tables": dict(counts)}


def head(subject: Subject) -> Json:
    """Return what an export and a report begin with: whom, when, and what is kept elsewhere."""
    return {
        subject.kind.value: subject.id,
        "made_at": _written(datetime.now(UTC)),
        "topics": [
            {"topic": topic.name, "whose": topic.whose, "until": _written(until)}
            for topic, until in _until(subject)
        ],
        "elsewhere": [{"store": other.name, "why": other.why} for other in OTHERS],
    }


def _until(subject: Subject) -> list[tuple[Topic, datetime]]:
    whose = Whose.STUDENT if subject.kind is Kind.STUDENT else Whose.TEACHER
    now = datetime.now(UTC)
    return [(topic, now + timedelta(days=topic.days)) for topic in topics_with(whose)]


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
