"""A small disk in memory, which a fault can fill without harm to the machine."""

import os
import subprocess
import tempfile
from pathlib import Path

from devstack.process import DevstackError


def can_mount() -> bool:
    """Whether this process may mount a file system: root may, unless it is confined."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        try:
            mount(path, "1m")
        except DevstackError:
            return False
        unmount(path)
    return True


def mount(path: Path, size: str) -> None:
    """Mount a file system of a size in memory. Raises `DevstackError` if not allowed."""
    path.mkdir(parents=True, exist_ok=True)
    done = _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    if done.returncode != 0:
        raise DevstackError(f"no small disk for PostgreSQL: {done.stderr.strip()}")


def unmount(path: Path) -> None:
    """Unmount it with its content, if it is mounted."""
    _run("umount", str(path))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError as error:
        raise DevstackError(f"no small disk for PostgreSQL: {error}") from None
