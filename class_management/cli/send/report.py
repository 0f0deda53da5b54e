"""Shows what became of the commands: a line for each, to a person or as JSON."""

import sys
from collections import Counter
from typing import Any, Final, Self

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from class_management.cli.send.lines import Outgoing

Json = dict[str, Any]

#: From so many commands on, a bar shows how far it has come.
LONG: Final = 20
#: Of one rejection; --json has all.
MAX_FAULTS: Final = 20

_LINE: Final = "{:>6}  {:<20}  {:<9}  {}"


class Report:
    """Prints results on standard output; progress, on a terminal, on standard error."""

    def __init__(self, total: int, *, as_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._as_json = as_json
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("results"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            # Where standard output goes elsewhere, it must not be drawn into.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=False,
            disable=not console.is_terminal or total < LONG,
        )
        self._task = self._progress.add_task("results", total=total)
        self._begun = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, outgoing: Outgoing, result: Json) -> None:
        """Print a result."""
        self.counts[result["status"]] += 1
        self._progress.advance(self._task)
        if self._as_json:
            self._write(orjson.dumps({"line": outgoing.line, **result}).decode())
            return
        if not self._begun:
            self._write(_LINE.format("line", "command", "status", ""))
            self._begun = True
        self._write(_LINE.format(outgoing.line, outgoing.command, result["status"], _what(result)))
        faults = result["errors"]
        for fault in faults[:MAX_FAULTS]:
            self._write(f"{'':8}{fault['pointer'].lstrip('/')}: {fault['detail']}")
        if len(faults) > MAX_FAULTS:
            self._write(f"{'':8}and {len(faults) - MAX_FAULTS} more; --json has all")

    def tell_sent(self, outgoing: Outgoing, status: str) -> None:
        """Print that a command was sent, with nothing known of its result."""
        self.tell(
            outgoing,
            {
                "command_id": str(outgoing.event_id),
                "command": outgoing.command,
                "status": status,
                "error_code": None,
                "detail": f"event_id {outgoing.event_id}",
                "errors": [],
                "entity_ids": [],
            },
        )

    def _write(self, line: str) -> None:
        sys.stdout.write(f"{line.rstrip()}\n")
        sys.stdout.flush()


def _what(result: Json) -> str:
    if result["error_code"]:
        return f"{result['error_code']}: {result['detail']}"
    ids = result["entity_ids"]
    if not ids:
        return result["detail"] or ""
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1:,} more"
