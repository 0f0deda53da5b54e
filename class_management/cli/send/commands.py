"""The command `class-management send`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn
from uuid import UUID

import click

from class_management.cli.options import connect_option, json_option, wait_options
from class_management.cli.runner import (
    EXIT_NO,
    EXIT_OK,
    EXIT_TROUBLE,
    TroubleError,
    fail,
    run,
    warn,
)
from class_management.settings import Settings

if TYPE_CHECKING:
    from class_management.cli.send.lines import BadLine, Outgoing

#: How many bad lines are named; the rest are shown once these are corrected.
MAX_BAD_LINES: Final = 20


@click.command()
@click.argument("command", required=False)
@click.option("--user", "user_id", metavar="ID", help="Who acts, where a line does not say it.")
@click.option(
    "-d", "--data", metavar="JSON", help='The members of COMMAND: \'{"name": "9A", ...}\'.'
)
@click.option("--event-id", type=click.UUID, help="Of COMMAND, to send it again without effect.")
@click.option("-f", "--file", type=click.File("rb"), help="Lines to send; - is standard input.")
@json_option("Print the results as JSON lines.")
@wait_options(
    no_wait="End once Kafka has the commands.", timeout="Seconds to wait for the next result."
)
@connect_option
def send(
    command: str | None,
    *,
    user_id: str | None,
    data: str | None,
    event_id: UUID | None,
    file: BinaryIO | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Send commands over Kafka, and wait for their results.

    Either one COMMAND (class.create, class.update, class.delete, student.create,
    student.update, student.delete, student.merge, roster.register,
    associations.confirm, associations.correct), or from a file or standard input
    a JSON object a line: "command", the members of that command, and where wanted
    "user_id" and "event_id".

    The lines are checked before the first is sent. Commands of one user take
    effect in their order. Where nobody knows whether something was sent, give it
    an "event_id": sent again it has no second effect.

    Exit codes: 0 all applied or duplicates; 1 some rejected; 2 trouble (a bad
    line, nothing sent; no Kafka; a command without a result in time).
    """
    lines = _lines(command, data, event_id, file)
    from class_management.cli.send.lines import read_lines

    outgoing, bad = read_lines(lines, user_id)
    if bad:
        _refuse(bad, one=command is not None)
    if not outgoing:
        fail("there is nothing to send")
    run(lambda settings: _exchange(settings, outgoing, **options))


async def _exchange(
    settings: Settings,
    outgoing: "Sequence[Outgoing]",
    *,
    as_json: bool,
    no_wait: bool,
    patience: float,
) -> int:
    """Send and wait; return the exit code."""
    from class_management.cli.send.exchange import connected
    from class_management.cli.send.report import Report
    from class_management.kafka import kafka_config

    async with connected(kafka_config(settings), reading=not no_wait) as kafka:
        with Report(len(outgoing), as_json=as_json) as report:
            if no_wait:
                await kafka.send(outgoing)
                for one in outgoing:
                    report.add_without_result(one, "sent")
                return EXIT_OK
            unanswered = await kafka.exchange(outgoing, patience, report.add)
            for one in unanswered:
                report.add_without_result(one, "unknown")
    if len(outgoing) > 1:
        warn(", ".join(f"{count:,} {status}" for status, count in sorted(report.counts.items())))
    if unanswered:
        warn(f"{len(unanswered):,} without a result: none came for {patience:g} s")
        return EXIT_TROUBLE
    return EXIT_NO if report.counts["rejected"] else EXIT_OK


def _lines(
    command: str | None, data: str | None, event_id: UUID | None, file: BinaryIO | None
) -> Sequence[bytes]:
    """Return the lines to send: one built from the options, or those of a file."""
    if command is None:
        if data is not None or event_id is not None:
            raise click.UsageError("--data and --event-id belong to a COMMAND.")
        if file is None and sys.stdin.isatty():
            raise click.UsageError("Give a COMMAND, a --file, or lines on standard input.")
        return _read(file or sys.stdin.buffer)
    if file is not None:
        raise click.UsageError("Give either a COMMAND or a --file.")
    import orjson

    try:
        members = orjson.loads(data or "{}")
    except orjson.JSONDecodeError:
        raise click.UsageError("--data is no JSON.") from None
    if not isinstance(members, dict):
        raise click.UsageError("--data is no JSON object.")
    given = {"event_id": str(event_id)} if event_id else {}
    return [orjson.dumps({**members, **given, "command": command})]


def _read(file: BinaryIO) -> "Sequence[bytes]":
    from class_management.cli.send.encoding import utf8_lines

    try:
        return utf8_lines(file.read())
    except OSError as error:
        fail(f"{file.name} cannot be read: {error.strerror}")
    except TroubleError as error:
        fail(str(error))


def _refuse(bad: "Sequence[BadLine]", *, one: bool) -> NoReturn:
    for line in bad[:MAX_BAD_LINES]:
        warn(line.reason if one else f"line {line.line}: {line.reason}")
    if len(bad) > MAX_BAD_LINES:
        warn(f"and {len(bad) - MAX_BAD_LINES:,} more lines")
    fail("nothing was sent")
