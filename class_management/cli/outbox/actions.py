"""`list`, `retry` and `drop` over the store."""

import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import UUID

import click
from dishka.container import Container

from class_management.cli import output
from class_management.cli.outbox import report
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, setup_logs, warn
from class_management.cli.store import open_store
from class_management.settings import Settings
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.set_aside import SetAsideMessage, SetAsideProtocol
from telemetry.logs import get_logger

#: A decision waits for the relays that are at work in the messages' shards.
COMMAND_SECONDS: Final = 60.0
#: How many refused messages one transaction decides about.
AT_ONCE: Final = 1_000

_log = get_logger(__name__)


async def list_refused(settings: Settings, *, as_json: bool) -> int:
    """Print what is refused, and for people what waits to be sent."""
    async with _opened(settings) as store:
        refused = await store.get(SetAsideProtocol).refused()
        backlog = None if as_json else await store.get(MaintenanceProtocol).backlog()
    if backlog is None:
        for message in refused:
            output.print_json(report.document(message))
        return EXIT_OK
    if refused:
        report.table(refused)
        report.explain(refused)
    else:
        click.echo("Nothing is set aside.")
    if backlog.outbox_depth:
        click.echo(report.on_the_way(backlog))
    return EXIT_OK


async def retry(settings: Settings, names: Sequence[str] | None) -> int:
    """Put messages back; `names` is None for all."""
    async with _store(settings) as store:
        chosen, complete = _chosen(await store.refused(), names)
        done = await _in_portions(chosen, store.retry)
    click.echo(f"{report.counted(done)} put back into the outbox{report.behind(done)}.")
    return _exit_code(chosen, done, complete=complete)


async def drop(settings: Settings, names: Sequence[str] | None, *, yes: bool) -> int:
    """Delete messages, after a question unless `yes`; `names` as of `retry`."""
    setup_logs(settings)
    async with _store(settings) as store:
        chosen, complete = _chosen(await store.refused(), names)
        if chosen and not yes:
            _confirm(chosen)
        done = await _in_portions(chosen, store.drop)
    for message in done:
        _log.warning("set-aside message dropped", **report.identity(message))
    click.echo(f"{report.counted(done)} dropped{report.behind(done)}.")
    return _exit_code(chosen, done, complete=complete)


def _opened(settings: Settings) -> AbstractAsyncContextManager[Container]:
    return open_store(settings, "only the worker itself knows its outbox", COMMAND_SECONDS)


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[SetAsideProtocol]:
    async with _opened(settings) as store:
        yield store.get(SetAsideProtocol)


def _chosen(
    refused: Sequence[SetAsideMessage], names: Sequence[str] | None
) -> tuple[list[SetAsideMessage], bool]:
    """Return the messages that are named, and whether each name is that of one."""
    if names is None:
        return list(refused), True
    by_name: defaultdict[int | UUID | None, list[SetAsideMessage]] = defaultdict(list)
    for message in refused:
        by_name[message.number].append(message)
        by_name[message.event_id].append(message)
    found = {text: by_name[_name(text)] for text in names}
    for name, messages in found.items():
        if not messages:
            warn(f"{name} is none that the broker refuses, which are: class-management outbox list")
    chosen = {message.number: message for messages in found.values() for message in messages}
    return list(chosen.values()), all(found.values())


def _name(text: str) -> UUID | int:
    """Read an event id or a number. Raises TroubleError."""
    try:
        return int(text) if text.isascii() and text.isdigit() else UUID(text)
    except ValueError:
        raise TroubleError(f"{text!r} is neither an event id nor a number of the list") from None


def _confirm(chosen: Sequence[SetAsideMessage]) -> None:
    """Ask whether to delete. Raises TroubleError if nobody can be asked."""
    report.table(chosen)
    if not sys.stdin.isatty():
        raise TroubleError("nothing was done: nobody can be asked whether to drop them; give --yes")
    click.confirm(f"Drop {report.counted(chosen)} for good?", err=True, abort=True)


async def _in_portions(
    chosen: Sequence[SetAsideMessage], decide: Callable[[Sequence[int]], Awaitable[Iterable[int]]]
) -> list[SetAsideMessage]:
    """Decide about messages; return those that were still there."""
    done: set[int] = set()
    numbers = [message.number for message in chosen]
    for begin in range(0, len(numbers), AT_ONCE):
        done.update(await decide(numbers[begin : begin + AT_ONCE]))
    return [message for message in chosen if message.number in done]


def _exit_code(
    chosen: Sequence[SetAsideMessage], done: Sequence[SetAsideMessage], *, complete: bool
) -> int:
    for message in chosen:
        if message not in done:
            warn(f"{message.number} was decided about by somebody else meanwhile")
    return EXIT_OK if complete and len(done) == len(chosen) else EXIT_NO
