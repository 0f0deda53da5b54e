"""The commands of `class-management batch`."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import click

from class_management.cli.options import connect_option, json_option
from class_management.cli.runner import run

READ_SECONDS: Final = 60.0


@click.group()
def batch() -> None:
    """Look at batches of essays.

    Needs DATABASE_URL, and for events the KAFKA_ settings.
    """


@batch.command(short_help="Tell the whole story of a batch, in order.")
@click.argument("wanted", metavar="ID", type=click.UUID)
@click.option("--essays", is_flag=True, help="With every decision on each essay; --json has them.")
@click.option("--no-events", is_flag=True, help="Only what PostgreSQL knows.")
@click.option(
    "--since",
    metavar="WHEN",
    help="Read topics from WHEN on: an instant, or how long ago (2h, 7d). By default from "
    "SUGGESTION_RETRY_SECONDS and 10 minutes before the batch was stored.",
)
@click.option(
    "--timeout",
    "patience",
    type=click.FloatRange(min=0, min_open=True),
    default=READ_SECONDS,
    show_default=True,
    help="Seconds for reading the topics of one batch; what is left is left out.",
)
@json_option("Print a JSON object for each batch, a line each.")
@connect_option
def show(
    wanted: UUID,
    *,
    essays: bool,
    no_events: bool,
    since: str | None,
    patience: float,
    as_json: bool,
) -> None:
    """Tell the whole story of a batch, in order: ids, counts and instants, no names.

    ID is a batch's, an essay's, or a correlation id: then of each batch that came
    with it, or of which essays were stored, decided or corrected under it. Looking
    for a correlation id reads all batches, and the changes of the last weeks: use
    it with care.

    PostgreSQL has what was suggested, decided and corrected, and what waits. The
    topics have what came and what was published. Of those with the batch's or the
    teacher's key one partition is read, of suggestions and dead letters all are.

    Exit codes: 0; 1 where nothing is known by this id; 2 for trouble, also where
    topics could not be read to their ends: the rest is printed.
    """
    from class_management.cli.batch import actions

    request = actions.Request(
        wanted,
        essays=essays,
        events=not no_events,
        since=_instant(since) if since else None,
        patience=patience,
        as_json=as_json,
    )
    run(lambda settings: actions.show(settings, request))


def _instant(text: str) -> datetime:
    """Read WHEN, or end with an error that says what it must be."""
    from rules.dead_letters.filters import instant

    try:
        return instant(text, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
