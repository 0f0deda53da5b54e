"""`collisions` over the store."""

from collections.abc import Iterable
from typing import Final

import click

from class_management.cli import output
from class_management.cli.output import Json, instant, print_table
from class_management.cli.runner import EXIT_NO, EXIT_OK, warn
from class_management.cli.store import open_store
from class_management.settings import Settings
from rules.email_keys import Collision
from rules.shown import printable
from store.protocols.email_keys import EmailKeysProtocol

#: Counting may have to go through a million students that have no key yet.
COMMAND_SECONDS: Final = 60.0


async def list_collisions(settings: Settings, *, as_json: bool) -> int:
    """Print who shares an address."""
    in_memory = "no earlier version has stored anything"
    async with open_store(settings, in_memory, COMMAND_SECONDS) as store:
        keys = store.get(EmailKeysProtocol)
        found = await keys.collisions()
        left = (await keys.count()).unkeyed
    if as_json:
        for collision in found:
            output.print_json(_document(collision))
    elif found:
        _table(found)
    else:
        click.echo("No address is shared.")
    if left:
        students = output.counted(left, "student is", "students are")
        warn(f"{students} not compared yet: the workers are at it, look again later")
    return EXIT_NO if found else EXIT_OK


def _table(found: Iterable[Collision]) -> None:
    """Print a line for each student; those of one address follow each other, the oldest first."""
    shown = output.table("address", "student", "created", "owner", right={"address"}, gap=2)
    for number, collision in enumerate(found, start=1):
        for student in collision.students:
            row = str(number), str(student.id), instant(student.created_at)
            shown.add_row(*row, printable(collision.owner_id))
    print_table(shown)


def _document(collision: Collision) -> Json:
    """Return a collision for `--json`, the oldest student first."""
    students = [
        {
            "student_id": str(student.id),
            "created_at": student.created_at.isoformat().replace("+00:00", "Z"),
        }
        for student in collision.students
    ]
    return {"owner_id": collision.owner_id, "students": students}
