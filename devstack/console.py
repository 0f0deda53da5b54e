"""The console for tables."""

import os
from typing import TextIO

from rich.console import Console


def console(out: TextIO | None, plain_width: int) -> Console:
    """Return a console on `out`, by default standard output; `plain_width` without a terminal."""
    found = Console(file=out, highlight=False)
    if found.is_terminal or "COLUMNS" in os.environ:
        return found
    return Console(file=out, highlight=False, width=plain_width)
