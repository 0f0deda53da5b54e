"""Shows dead letters to a person. What comes from outside is printed without its control codes."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from class_management.cli.dlt.status import Standing
from rules.dead_letters.letters import Origin
from rules.dead_letters.reasons import explanation
from rules.dead_letters.replays import State
from rules.models import Record

#: Narrower, a table leaves the event ids out; --json has them.
WIDE: Final = 160
BYTES_A_LINE: Final = 16
PRIVATE: Final = "It may hold names and emails."


# --- a list ---------------------------------------------------------------------------------------


def table(standings: Sequence[Standing]) -> None:
    """Print a line for each letter."""
    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= WIDE
    columns = ["letter", "at", "reason", "from", "bytes", *(["event id"] if wide else []), "state"]
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        justify: Any = "right" if column == "bytes" else "left"
        shown.add_column(column, no_wrap=True, justify=justify)
    for standing in standings:
        letter = standing.letter
        event_id = [str(letter.event_id or "-")] if wide else []
        shown.add_row(
            letter.address.short,
            _at(letter.at),
            printable(letter.reason or "-"),
            _origin(standing),
            f"{letter.size:,}",
            *event_id,
            state_in_words(standing),
        )
    _print(shown)


def summary(standings: Iterable[Standing]) -> None:
    """Print how many letters there are for each reason, and what the reasons mean."""
    counts = Counter(standing.letter.reason for standing in standings)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    shown.add_column(justify="right")
    shown.add_column(no_wrap=True)
    shown.add_column()
    for reason, count in counts.most_common():
        shown.add_row(f"{count:,}", printable(reason or "no reason"), explanation(reason).meaning)
    _print(shown)


def state_in_words(standing: Standing) -> str:
    """Say how a letter stands, and what it has to do with others."""
    letter, decided = standing.letter, standing.decided
    if standing.state is None:
        return "?"
    if decided is None:
        before = letter.replayed_from
        return f"open, replay of {before.short} that failed" if before else "open"
    at = _at(decided.at)
    match standing.state:
        case State.DROPPED:
            return f"dropped {at}"
        case State.FAILED:
            new = f" as {standing.again_as.short}" if standing.again_as else ""
            return f"replayed {at}, failed again{new}: {decided.reason}"
        case State.UNDERWAY:
            waits = "waits for a class or student" if decided.outcome else "not handled yet"
            return f"replayed {at}, {waits}"
        case _:
            return f"replayed {at}, {decided.outcome}"


# --- one letter -----------------------------------------------------------------------------------


def letter(standing: Standing, record: Record, *, with_body: bool) -> None:
    """Print everything of a letter."""
    shown = standing.letter
    told = explanation(shown.reason)
    origin = shown.origin
    lines = {
        "letter": f"{shown.address.short}, which is {shown.address}",
        "at": f"{_at(shown.at)}, {_ago(shown.at)}",
        "reason": f"{shown.reason or '-'}: {told.meaning}",
        "exception": shown.exception or "-",
        "what to do": told.remedy,
        "state": state_in_words(standing),
        "came from": _origin_in_words(origin),
        "event id": str(shown.event_id or "-"),
        "key": "none" if record.key is None else text(record.key),
        "body": _body_in_words(record.value),
    }
    for name, line in lines.items():
        _write(f"{name:<11} {printable(line)}")
    if record.headers:
        _write("headers")
        for name, value in record.headers:
            _write(f"    {printable(name)}: {text(value)}")
    if with_body:
        _write("")
        _write(body(record.value))
    elif record.value:
        _write(f"\nThe body is shown by --body. {PRIVATE}")


def body(value: bytes | None) -> str:
    """Return a body for a terminal: indented JSON, or text, or its bytes."""
    if not value:
        return "" if value is None else "(empty)"
    try:
        readable = orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2)
    except orjson.JSONDecodeError:
        readable = value
    try:
        return "\n".join(printable(line) for line in readable.decode().split("\n"))
    except UnicodeDecodeError:
        return "\n".join(_hex_lines(value))


def text(raw: bytes) -> str:
    """Return bytes as printable text, or in hexadecimal."""
    try:
        return printable(raw.decode())
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"


def printable(line: str) -> str:
    """Escape what a terminal would obey: control codes, line ends, changes of direction."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


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


def _hex_lines(value: bytes) -> Iterable[str]:
    for begin in range(0, len(value), BYTES_A_LINE):
        some = value[begin : begin + BYTES_A_LINE]
        plain = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in some)  # noqa: PLR2004  # ASCII
        yield f"{begin:08x}  {some.hex(' '):<47}  {plain}"


# --- how things are written -----------------------------------------------------------------------


def counted(count: int) -> str:
    """Write how many letters."""
    return f"{count:,} dead {'letter' if count == 1 else 'letters'}"


def _origin(standing: Standing) -> str:
    """Write partition and offset; the topic is the letter's unless somebody else wrote it."""
    origin = standing.letter.origin
    if origin is None:
        return "-"
    place = f"{origin.partition}/{origin.offset}"
    own = standing.letter.address.topic.removesuffix(".dlt")
    return place if origin.topic == own else printable(f"{origin.topic}/{place}")


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _ago(moment: datetime) -> str:
    seconds = int(max(datetime.now(UTC) - moment, timedelta(0)).total_seconds())
    units = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    units.append((seconds % 60, "s"))
    first = next((i for i, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2]) + " ago"


def _print(what: Table) -> None:
    # However narrow the terminal, an address is never cut: it is to be copied.
    console = Console(width=10_000, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(what)
    for line in captured.get().splitlines():
        _write(line)


def _write(line: str) -> None:
    sys.stdout.write(f"{line.rstrip()}\n")
