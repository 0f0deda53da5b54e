"""Shows the results of commands, one per line, to a person or as JSON."""

from collections import Counter
from typing import Final, Self

import click

from class_management.cli.output import Json, print_json, progress_bar
from class_management.cli.send.lines import Outgoing

#: From this many commands on, a bar shows the progress.
LONG: Final = 20
#: For one rejection; --json has all.
MAX_FAULTS: Final = 20

_LINE: Final = "{:>6}  {:<20}  {:<9}  {}"


class Report:
    """Prints results on standard output; progress, on a terminal, on standard error."""

    def __init__(self, total: int, *, as_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._as_json = as_json
        self._progress = progress_bar("results", shown=total >= LONG)
        self._task = self._progress.add_task("results", total=total)
        self._has_head = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, outgoing: Outgoing, result: Json) -> None:
        """Print a result."""
        self.counts[result["status"]] += 1
        self._progress.advance(self._task)
        if self._as_json:
            print_json({"line": outgoing.line, **result})
            return
        if not self._has_head:
            click.echo(_LINE.format("line", "command", "status", "").rstrip())
            self._has_head = True
        line = (outgoing.line, outgoing.command, result["status"], _summary(result))
        click.echo(_LINE.format(*line).rstrip())
        faults = result["errors"]
        for fault in faults[:MAX_FAULTS]:
            click.echo(f"{'':8}{fault['pointer'].lstrip('/')}: {_why(fault)}")
        if len(faults) > MAX_FAULTS:
            click.echo(f"{'':8}and {len(faults) - MAX_FAULTS} more; --json has all")

    def add_without_result(self, outgoing: Outgoing, status: str) -> None:
        """Print a command without a result."""
        self.add(
            outgoing,
            {
                "command_id": str(outgoing.event_id),
                "command": outgoing.command,
                "status": status,
                "error_code": None,
                "detail": f"event_id {outgoing.event_id}",
                "student_id": None,
                "errors": [],
                "entity_ids": [],
            },
        )


def _summary(result: Json) -> str:
    if result["error_code"]:
        return f"{result['error_code']}: {_why(result)}"
    ids = result["entity_ids"]
    if not ids:
        return result["detail"] or ""
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1:,} more"


def _why(refusal: Json) -> str:
    """Return a detail, with the own student that is in the way: versions before had none."""
    student_id = refusal.get("student_id")
    return f"{refusal['detail']} (student {student_id})" if student_id else str(refusal["detail"])
