"""The commands of `class-management tables`."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

import click

from class_management.cli.options import all_of, connect_option, json_option
from class_management.cli.runner import EXIT_NO, EXIT_OK, EXIT_TROUBLE, run, warn
from class_management.settings import PREFIX, Settings, SettingsError

if TYPE_CHECKING:
    from class_management.cli.tables.client import Service

DEFAULT_ENTRIES: Final = 100

#: The options of every command here.
_shared = all_of(
    click.option(
        "--url",
        metavar="URL",
        help="Where a worker answers, by default as ADVERTISED_URL or HOST and PORT say.",
    ),
    json_option("Answer in JSON."),
    connect_option,
)


@click.group(invoke_without_command=True)
@_shared
@click.pass_context
def tables(context: click.Context, url: str | None, *, as_json: bool) -> None:
    """Look into the table of pending associations.

    It is a stream table of all workers, and any worker answers for all. Without a
    command: which worker holds what. The internal key is taken from
    CLASS_MANAGEMENT_SERVICE_INTERNAL_API_KEY.

    Exit codes: 0, also where a worker does not answer (standard error says so);
    1 where table and PostgreSQL differ or a batch is not there; 2 for trouble.
    """
    context.obj = {"url": url, "as_json": as_json}
    if context.invoked_subcommand is None:
        _run(context, _overview, url=url, as_json=as_json)


async def _overview(service: "Service", *, as_json: bool) -> int:
    from class_management.cli.output import print_json
    from class_management.cli.tables import report

    document = await service.tables()
    if as_json:
        print_json(document)
    else:
        report.overview(document)
    for table in document["tables"]:
        _warn_incomplete(table, table["workers"])
    return EXIT_OK


@tables.command("list")
@_shared
@click.option("--class-id", type=click.UUID, help="Only batches of this class.")
@click.option(
    "--due-before",
    metavar="INSTANT",
    help='Only what falls due before, in RFC 3339: "2026-11-22T12:00:00Z".',
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_ENTRIES,
    show_default=True,
    help="How many entries at the most.",
)
@click.option("--all", "everything", is_flag=True, help="All entries, however many.")
@click.pass_context
def list_entries(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """List pending batches, what falls due soonest first.

    With --json one entry a line.
    """
    _run(context, _list, **options)


async def _list(
    service: "Service",
    *,
    class_id: UUID | None,
    due_before: str | None,
    limit: int,
    everything: bool,
    as_json: bool,
) -> int:
    from class_management.cli.tables import report

    query = {"class_id": str(class_id or ""), "due_before": due_before or ""}
    listing = report.Listing(as_json=as_json)
    complete = True
    more = False
    async for page in service.pages(query, None if everything else limit):
        listing.add(page["entries"])
        complete = complete and page["complete"]
        more = page["next_cursor"] is not None
    listing.end(more=more)
    if not complete:
        warn("not all workers answered: entries are missing")
    return EXIT_OK


@tables.command()
@_shared
@click.argument("batch_id", type=click.UUID)
@click.pass_context
def show(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Show the entry of BATCH_ID beside what PostgreSQL says."""
    _run(context, _show, **options)


async def _show(service: "Service", batch_id: UUID, *, as_json: bool) -> int:
    from class_management.cli.output import print_json
    from class_management.cli.tables import report

    entry = await service.entry(batch_id)
    if entry is None:
        warn(f"the table has no batch {batch_id}; `tables check` compares it with PostgreSQL")
        return EXIT_NO
    if as_json:
        print_json(entry)
    else:
        report.entry(entry)
    return EXIT_NO if report.differs(entry) else EXIT_OK


@tables.command(short_help="Compare the table with PostgreSQL; exit with 1 on drift.")
@_shared
@click.pass_context
def check(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Compare the table with PostgreSQL on all workers; exit with 1 if they differ.

    Nothing is changed. While suggestions come in, a few batches may differ that
    are only on their way into the table: they do no longer, a moment later.
    """
    _run(context, _compare, repair=False, **options)


@tables.command(short_help="Compare, and mend what differs.")
@_shared
@click.pass_context
def repair(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401
    """Compare, and have every timer that differs published again from PostgreSQL."""
    _run(context, _compare, repair=True, **options)


async def _compare(service: "Service", *, repair: bool, as_json: bool) -> int:
    from class_management.cli.output import print_json, status_line
    from class_management.cli.tables import report
    from class_management.cli.tables.comparison import compare

    with status_line("asking the workers") as show_status:
        drift = await compare(
            service, repair=repair, on_progress=lambda drift: show_status(report.progress(drift))
        )
    if as_json:
        print_json(drift)
    else:
        report.drift(drift, repair=repair)
    found = sum(drift[kind] for kind in report.KINDS)
    if found > (drift["mended"] if repair else 0):
        return EXIT_NO
    _warn_incomplete(drift, drift["workers"])
    return EXIT_OK if drift["complete"] else EXIT_TROUBLE


def _run(
    context: click.Context,
    work: Callable[..., Coroutine[Any, Any, int]],
    *,
    url: str | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> NoReturn:
    """Run a command against the service; `--url` and `--json` may also precede its name."""
    from class_management.cli.tables.client import Service

    async def connected(settings: Settings) -> int:
        base, key = _target(settings, url or context.obj["url"])
        async with Service(base, key) as service:
            return await work(service, as_json=as_json or context.obj["as_json"], **options)

    run(connected)


def _target(settings: Settings, url: str | None) -> tuple[str, str]:
    """Return the URL to ask and the key for it."""
    from class_management.address import loopback_url

    if not settings.internal_api_keys:
        raise SettingsError(f"set {PREFIX}INTERNAL_API_KEY to the internal key of the service")
    base = url or settings.advertised_url or loopback_url(settings)
    return base.rstrip("/"), settings.internal_api_keys[0]


def _warn_incomplete(document: Mapping[str, Any], workers: list[dict[str, Any]]) -> None:
    if document["complete"]:
        return
    silent = [one["worker"] for one in workers if not one["reachable"]]
    why = f"no answer from {', '.join(silent)}" if silent else "some of the table was on the move"
    warn(f"not complete: {why}")
