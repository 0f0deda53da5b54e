"""Prints the demo: lines with their time and who sees it, and tables."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

TEACHER: Final = "teacher"
MATCHER: Final = "matching service"
REGISTER: Final = "school register"
BROWSER: Final = "browser (Redis)"
OTHERS: Final = "others (Kafka)"
NOBODY: Final = ""
COLOURS: Final = {
    TEACHER: "cyan",
    MATCHER: "magenta",
    REGISTER: "magenta",
    BROWSER: "green",
    OTHERS: "yellow",
}


class Stage:
    """Prints lines with their time and who sees it, and tables."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def act(self, title: str) -> None:
        """Begin a part of the day."""
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left")

    def say(self, who: str, what: str) -> None:
        """Print what a side sees or does."""
        line = Text.assemble(
            (f"{datetime.now().astimezone():%H:%M:%S}  ", "dim"),
            (f"{who:<17} ", f"bold {COLOURS.get(who, 'white')}"),
            what,
        )
        self._console.print(line, soft_wrap=True)

    def show(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)
