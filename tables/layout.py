"""The layout of the files in the tables' folder."""

import json
import shutil
from pathlib import Path
from typing import Final

from tables.codec import FORMAT
from tables.names import PENDING_ASSOCIATIONS
from telemetry.logs import get_logger

MARKER: Final = "layout.json"

_log = get_logger(__name__)


def adopt(folder: Path, partitions: int) -> None:
    """Ensure that a folder's files have the current layout; remove those that don't.

    They are only an index over the changelog and PostgreSQL. Call this before any of them is open.
    """
    wanted = {"format": FORMAT, "partitions": partitions}
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    found = _read(marker)
    if found == wanted:
        return
    old = sorted(folder.glob(f"{PENDING_ASSOCIATIONS}-*.db"))
    if old:
        _log.warning(
            "tables have another layout, built anew", found=found, wanted=wanted, removed=len(old)
        )
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    new = marker.with_suffix(".new")
    new.write_text(json.dumps(wanted), encoding="ascii")
    new.replace(marker)


def _read(marker: Path) -> object:
    try:
        found: object = json.loads(marker.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return found
