"""`export` over the store: the files that HTTP answers, too."""

import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from class_management.cli.output import counted, standard_output, status_line
from class_management.cli.rosters.actions import opened
from class_management.cli.runner import EXIT_OK, TroubleError, warn
from class_management.settings import Settings
from rules.imports.exporting import MAX_ROWS, classes_file, row_count
from rules.imports.files import Format
from rules.imports.plans import RosterState

_STANDARD_OUTPUT: Final = Path("-")


async def export(
    settings: Settings, user_id: str, class_id: UUID | None, form: str, path: Path
) -> int:
    """Write a class, or all classes of a user, to a file."""
    with status_line("reading"):
        async with opened(settings, user_id) as imports:
            state = await imports.roster_state(user_id, class_id)
        if class_id is not None:
            state = _alone(state, class_id)
        body = classes_file(state, Format(form), datetime.now(UTC).date())
    _write(path, body)
    rows = row_count(state)
    told = f"{counted(len(state.classes), 'class', 'classes')}, {counted(rows, 'row')}"
    click.echo(told, err=True)
    if rows > MAX_ROWS:
        warn(f"no import takes more than {MAX_ROWS:,} rows: export single classes")
    return EXIT_OK


def _alone(state: RosterState, class_id: UUID) -> RosterState:
    """Return what there is of a class."""
    return replace(state, classes={class_id: state.classes[class_id]})


def _write(path: Path, body: bytes) -> None:
    """Write a file whole or not at all. Raises TroubleError."""
    if path == _STANDARD_OUTPUT:
        with standard_output() as file:
            file.write(body)
        return
    beside = None
    try:
        # Only its owner may read it: it has names and addresses.
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        Path(beside).replace(path)
    except OSError as error:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
        raise TroubleError(f"{path} cannot be written: {error.strerror}") from error
