"""What the processes that run tests side by side make once and share."""

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first of all processes makes, under another name at first."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(f".{os.getpid()}")
            make(unfinished)
            unfinished.rename(folder)
    return folder


def copied(source: Path, target: Path) -> Path:
    """Copy a folder with the owners of its files; return the copy."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # noqa: S607
    return target
