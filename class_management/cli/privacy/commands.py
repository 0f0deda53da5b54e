"""The commands of `class-management privacy`."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import click

from class_management.cli.options import CommandT, all_of
from class_management.cli.runner import run

if TYPE_CHECKING:
    from rules.personal.subjects import Subject

_subject = all_of(
    click.option("--user", metavar="ID", help="A user, as in X-User-ID: a teacher."),
    click.option("--student", metavar="ID", type=click.UUID, help="A student, by its UUID."),
)


def _output(help_text: str) -> Callable[[CommandT], CommandT]:
    path = click.Path(dir_okay=False, writable=True)
    return click.option("-o", "--output", "path", type=path, metavar="FILE", help=help_text)


@click.group()
def privacy() -> None:
    """Show and erase what is stored of a user or a student.

    Needs DATABASE_URL, with the account that owns the tables. Kafka's topics
    keep their messages for some days more, which both commands tell.
    """


@privacy.command(short_help="Write what is stored of a user or a student as JSON.")
@_subject
@_output("Where to write it; without, to standard output.")
def export(user: str | None, student: UUID | None, path: str | None) -> None:
    """Write what is stored of a user or a student, all of one moment, as JSON.

    Of a user its classes with all students; of a student nothing of others.
    Only who runs the command can read the file.

    Exit codes: 0; 1 nothing is stored; 2 trouble.
    """
    from class_management.cli.privacy import actions

    subject = _chosen(user, student)
    run(lambda settings: actions.export(settings, subject, path))


@privacy.command(short_help="Erase what is stored of a user or a student.")
@_subject
@_output("Where to write the report as JSON, too.")
@click.option("--dry-run", is_flag=True, help="Count only what has something of it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--timeout",
    "patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for what others have under way, each.",
)
def erase(  # each is an option
    *,
    user: str | None,
    student: UUID | None,
    path: str | None,
    dry_run: bool,
    yes: bool,
    patience: float,
) -> None:
    """Erase what is stored of a user or a student, for good.

    Of a student: it is deleted, and essays that were decided for it are UNKNOWN's.
    Of a user: its classes and students are deleted, and its open batches close.
    The deletions are published. What is remembered has no names any more,
    and a pseudonym for the user.

    It may be stopped at any time, and run again: then it goes on.

    Exit codes: 0 erased; 1 nothing is stored, or it is not finished: run it again;
    2 trouble.
    """
    from class_management.cli.privacy import actions

    subject = _chosen(user, student)
    if dry_run:
        run(lambda settings: actions.try_erasing(settings, subject, path))
    run(lambda settings: actions.erase(settings, subject, path, yes=yes, patience=patience))


def _chosen(user: str | None, student: UUID | None) -> "Subject":
    """Return whom the options name, or end with an error."""
    from rules.identity import is_user_id
    from rules.personal.subjects import Kind, Subject

    if (user is None) == (student is None):
        raise click.UsageError("Give either --user or --student.")
    if student is not None:
        return Subject(Kind.STUDENT, str(student))
    if user is None or not is_user_id(user):
        raise click.UsageError("--user is no id of a user: blank, too long, or with controls.")
    return Subject(Kind.USER, user)
