"""The commands of `class-management outbox`."""

import click

from class_management.cli.options import all_of, json_option
from class_management.cli.runner import run

#: What `retry` and `drop` share.
_chosen = all_of(
    click.argument("messages", nargs=-1, metavar="[MESSAGE]..."),
    click.option("--all", "everything", is_flag=True, help="All that are refused."),
)


@click.group()
def outbox() -> None:
    """Decide about messages that the broker refuses for good.

    Such a message is set aside, with the later ones of its topic and key: these
    wait, so that their order stays. Everything else goes on. Here people say
    what becomes of it. A MESSAGE is named by its event id, or by its number, as
    `list` shows them.

    All of it needs DATABASE_URL.
    """


@outbox.command("list", short_help="List what the broker refuses, the oldest first.")
@json_option("Print a JSON object a line.")
def list_refused(*, as_json: bool) -> None:
    """List the messages that the broker refuses, the oldest first.

    What only waits to be sent is counted below them, without --json.

    Exit codes: 0; 2 for trouble.
    """
    from class_management.cli.outbox import actions

    run(lambda settings: actions.list_refused(settings, as_json=as_json))


@outbox.command(short_help="Have refused messages sent again.")
@_chosen
def retry(messages: tuple[str, ...], *, everything: bool) -> None:
    """Put refused messages back into the outbox, with those behind them.

    They are sent within seconds, in their order. What the broker still refuses
    is set aside again: look with `list`.

    Exit codes: 0 all were put back; 1 some are not set aside (any more); 2 trouble.
    """
    from class_management.cli.outbox import actions

    chosen = _choice(messages, everything=everything)
    run(lambda settings: actions.retry(settings, chosen))


@outbox.command(short_help="Delete refused messages for good.")
@_chosen
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def drop(messages: tuple[str, ...], *, everything: bool, yes: bool) -> None:
    """Delete refused messages for good, and send those behind them.

    Nobody will ever get a dropped message. A line on standard error says which
    they were.

    Exit codes: 0 all were dropped; 1 some are not set aside (any more); 2 trouble.
    """
    from class_management.cli.outbox import actions

    chosen = _choice(messages, everything=everything)
    run(lambda settings: actions.drop(settings, chosen, yes=yes))


def _choice(messages: tuple[str, ...], *, everything: bool) -> tuple[str, ...] | None:
    """Return the named messages, None for all, or end with an error."""
    if everything == bool(messages):
        raise click.UsageError("Give either MESSAGEs or --all.")
    return None if everything else tuple(dict.fromkeys(messages))
