"""The limit of open files: high for the harness, which attacks with sockets, usual for workers."""

import resource
from collections.abc import Sequence
from typing import Final

#: What a worker is started with nearly everywhere.
USUAL: Final = 1024
WANTED: Final = 65_536


def raise_limit() -> None:
    """Let this process open many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(WANTED, hard)), hard))


def with_usual_limit(command: Sequence[str]) -> list[str]:
    """Return a command that starts with the usual limit, which it may raise."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ["prlimit", f"--nofile={min(USUAL, hard)}:{hard}", "--", *command]
