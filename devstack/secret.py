"""Secrets that are created once and kept in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 24


def kept_secret(path: Path) -> str:
    """Return the secret in the file; create it with a random one if missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(SECRET_BYTES))
    return path.read_text(encoding="ascii")


def write_private(path: Path, text: str) -> None:
    """Write a file atomically that only its owner can read."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(unfinished, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)
