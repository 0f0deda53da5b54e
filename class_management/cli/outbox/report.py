"""Shows what is set aside, without the messages' content."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import click

from class_management.cli import output
from class_management.cli.output import Json, instant, print_table
from rules.shown import text
from store.protocols.maintenance import Backlog
from store.protocols.outbox import Refusal
from store.protocols.set_aside import SetAsideMessage

#: Keys may be of any length.
KEY_CHARACTERS: Final = 60

#: What to do about each reason; docs/operating.md has the same, and a test compares the two.
REMEDIES: Final = MappingProxyType(
    {
        Refusal.TOO_LARGE: "raise max.message.bytes of the topic above bytes, then retry; or drop",
        Refusal.INVALID: "the topic's settings refuse it, such as cleanup.policy=compact a message "
        "without a key: mend them, then retry; or drop",
    }
)


def table(refused: Iterable[SetAsideMessage]) -> None:
    """Print a line for each message."""
    columns = ["number", "since", "reason", "bytes", "behind", "topic", "event id", "key"]
    shown = output.table(*columns, right={"number", "bytes", "behind"}, gap=2)
    for message in refused:
        shown.add_row(
            str(message.number),
            instant(message.since),
            message.reason,
            f"{message.size:,}",
            f"{message.waiting:,}",
            message.topic,
            str(message.event_id or "-"),
            _cut("-" if message.key is None else text(message.key)),
        )
    print_table(shown)


def explain(refused: Iterable[SetAsideMessage]) -> None:
    """Print what to do about the reasons that there are, as far as this version knows them."""
    click.echo("")
    reasons = {message.reason for message in refused}
    for reason in (reason for reason in Refusal if reason in reasons):
        click.echo(f"{reason.value}: {REMEDIES[reason]}")


def document(message: SetAsideMessage) -> Json:
    """Return a message for `list --json`."""
    key = None if message.key is None else message.key.decode(errors="backslashreplace")
    since = message.since.isoformat().replace("+00:00", "Z")
    return {**identity(message), "key": key, "since": since, "waiting": message.waiting}


def identity(message: SetAsideMessage) -> Json:
    """Return which message it is, with nothing that may be personal."""
    return {
        "number": message.number,
        "event_id": message.event_id and str(message.event_id),
        "topic": message.topic,
        "size": message.size,
        "reason": message.reason,
    }


def counted(messages: Sequence[SetAsideMessage]) -> str:
    """Write "1 message" or "3 messages"."""
    return output.counted(len(messages), "message")


def behind(messages: Iterable[SetAsideMessage]) -> str:
    """Write how many other messages go with these, if any."""
    waiting = sum(message.waiting for message in messages)
    goes = "goes" if waiting == 1 else "go"
    return f", {output.counted(waiting, 'message')} behind {goes} on" if waiting else ""


def on_the_way(backlog: Backlog) -> str:
    """Write how many messages wait to be sent, and since when the oldest does."""
    waiting = output.counted(backlog.outbox_depth, "message")
    wait = "waits" if backlog.outbox_depth == 1 else "wait"
    since = output.span(timedelta(seconds=backlog.outbox_age_seconds))
    return f"{waiting} {wait} to be sent, the oldest for {since}."


def _cut(key: str) -> str:
    return key if len(key) <= KEY_CHARACTERS else f"{key[:KEY_CHARACTERS]}…"
