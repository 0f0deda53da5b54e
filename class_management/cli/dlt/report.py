"""Shows dead letters to a person, without the control codes of text from outside."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import click
import orjson

from class_management.cli import output
from class_management.cli.output import ago, instant, print_table
from rules.dead_letters.letters import Origin
from rules.dead_letters.reasons import explanation
from rules.dead_letters.replays import State
from rules.dead_letters.tally import LetterStatus
from rules.models import Record
from rules.shown import body as shown_body
from rules.shown import printable, text

#: A table on a narrower terminal leaves out the event ids; --json has them.
WIDE: Final = 160
PRIVATE: Final = "It may hold names and emails."


# --- a list ---------------------------------------------------------------------------------------


def table(statuses: Sequence[LetterStatus]) -> None:
    """Print a line for each letter."""
    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= WIDE
    columns = ["letter", "at", "reason", "from", "bytes", *(["event id"] if wide else []), "state"]
    shown = output.table(*columns, right={"bytes"}, gap=2)
    for status in statuses:
        letter = status.letter
        event_id = [str(letter.event_id or "-")] if wide else []
        shown.add_row(
            letter.address.short,
            instant(letter.at),
            printable(letter.reason or "-"),
            _origin(status),
            f"{letter.size:,}",
            *event_id,
            state_in_words(status),
        )
    print_table(shown)


def summary(statuses: Iterable[LetterStatus]) -> None:
    """Print the number of letters for each reason, and what the reasons mean."""
    counts = Counter(status.letter.reason for status in statuses)
    shown = output.table("count", "reason", "meaning", right={"count"}, gap=2, head=False)
    for reason, count in counts.most_common():
        shown.add_row(f"{count:,}", printable(reason or "no reason"), explanation(reason).meaning)
    print_table(shown)


def state_in_words(status: LetterStatus) -> str:
    """Return a letter's state, with the letter that it replays or that its replay became."""
    letter, decided = status.letter, status.decided
    if status.state is None:
        return "?"
    if decided is None:
        before = letter.replayed_from
        return f"open, replay of {before.short} that failed" if before else "open"
    at = instant(decided.at)
    match status.state:
        case State.DROPPED:
            return f"dropped {at}"
        case State.FAILED:
            new = f" as {status.again_as.short}" if status.again_as else ""
            return f"replayed {at}, failed again{new}: {decided.reason}"
        case State.UNDERWAY:
            waits = "waits for a class or student" if decided.outcome else "not handled yet"
            return f"replayed {at}, {waits}"
        case _:
            return f"replayed {at}, {decided.outcome}"


# --- one letter -----------------------------------------------------------------------------------


def letter(status: LetterStatus, record: Record, *, with_body: bool) -> None:
    """Print everything about a letter."""
    shown = status.letter
    explained = explanation(shown.reason)
    origin = shown.origin
    lines = {
        "letter": f"{shown.address.short}, which is {shown.address}",
        "at": f"{instant(shown.at)}, {ago(shown.at)}",
        "reason": f"{shown.reason or '-'}: {explained.meaning}",
        "exception": shown.exception or "-",
        "what to do": explained.remedy,
        "state": state_in_words(status),
        "came from": _origin_in_words(origin),
        "event id": str(shown.event_id or "-"),
        "key": "none" if record.key is None else text(record.key),
        "body": _body_in_words(record.value),
    }
    for name, line in lines.items():
        click.echo(f"{name:<11} {printable(line)}".rstrip())
    if record.headers:
        click.echo("headers")
        for name, value in record.headers:
            click.echo(f"    {printable(name)}: {text(value)}".rstrip())
    if with_body:
        click.echo("")
        click.echo(shown_body(record.value).rstrip())
    elif record.value:
        click.echo(f"\nThe body is shown by --body. {PRIVATE}")


def _origin_in_words(origin: Origin | None) -> str:
    if origin is None:
        return "-"
    return f"{origin.topic}, partition {origin.partition}, offset {origin.offset}"


def _body_in_words(value: bytes | None) -> str:
    if value is None:
        return "none (null)"
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return f"{len(value):,} bytes, not JSON"
    return f"{len(value):,} bytes of JSON"


# --- how things are written -----------------------------------------------------------------------


def counted_letters(count: int) -> str:
    """Write "1 dead letter" or "3 dead letters"."""
    return output.counted(count, "dead letter")


def _origin(status: LetterStatus) -> str:
    """Write partition and offset; and the topic if it is not the letter's."""
    origin = status.letter.origin
    if origin is None:
        return "-"
    place = f"{origin.partition}/{origin.offset}"
    own = status.letter.address.topic.removesuffix(".dlt")
    return place if origin.topic == own else printable(f"{origin.topic}/{place}")
