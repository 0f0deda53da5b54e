"""The commands of `class-management rosters`."""

from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import click

from class_management.cli.options import all_of, json_option
from class_management.cli.runner import run

_user = click.option(
    "--user", "user_id", metavar="ID", required=True, help="The teacher whose classes they are."
)
_class = click.option(
    "--class", "class_id", type=click.UUID, metavar="ID", help="One class, not all of them."
)
#: What `import` and `undo` share.
_applying = all_of(
    click.option("--dry-run", is_flag=True, help="Show the plan; store and change nothing."),
    click.option("--force", is_flag=True, help="Also if the change is a large one."),
    click.option("--skip-errors", is_flag=True, help="Leave out the classes that have errors."),
    click.option("-y", "--yes", is_flag=True, help="Do not ask."),
)


@click.group()
def rosters() -> None:
    """Import rosters from files, take that back, and export them.

    The same as over HTTP and on the console's pages: a file becomes a plan, the
    plan is applied class by class, and what was applied can be undone.

    Shows no names and no addresses. Needs DATABASE_URL.
    """


@rosters.command("import", short_help="Import a file, after showing what it would change.")
@click.argument("file", type=click.File("rb"))
@_user
@_class
@click.option(
    "--mode",
    type=click.Choice(["add", "sync"]),
    default="add",
    show_default=True,
    help="Who is in a class and not in the file: stays, or leaves.",
)
@click.option("--course", "course_code", metavar="CODE", help="Of new classes without one.")
@click.option("--charset", metavar="NAME", help="Of a CSV file where it is not evident.")
@click.option("--overwrite", is_flag=True, help="Also what was changed by hand since.")
@_applying
@json_option("Print the plan, and what became of it, as JSON objects.")
def import_file(file: BinaryIO, **options: Any) -> None:  # noqa: ANN401
    """Import FILE: CSV, or a zip of OneRoster 1.2 (CSV); - is standard input.

    Without --class the file says of which class each student is. First the plan
    is shown, then it is applied if that is wanted. A change that takes out more
    than a tenth of a class or changes more than three quarters needs --force.

    Whatever ends the command in the middle, the workers go on with the import.

    Exit codes: 0 all is applied (with --dry-run: could be applied); 1 something
    is left out, or --force or --skip-errors is missing; 2 trouble.
    """
    from class_management.cli.rosters import actions

    run(lambda settings: actions.import_file(settings, file, actions.Asked(**options)))


@rosters.command(short_help="Take an applied import back.")
@click.argument("import_id", type=click.UUID, metavar="IMPORT")
@_user
@_applying
@json_option("Print the plan, and what became of it, as JSON objects.")
def undo(import_id: UUID, **options: Any) -> None:  # noqa: ANN401
    """Take back what an applied IMPORT did, after showing what that would change.

    What somebody has changed since stays as it is. Exit codes as of `import`.
    """
    from class_management.cli.rosters import actions

    run(lambda settings: actions.undo(settings, import_id, actions.Asked(**options)))


@rosters.command(short_help="Show an import: its plan, how far it is, or what it did.")
@click.argument("import_id", type=click.UUID, metavar="IMPORT")
@_user
@json_option("Print it as a JSON object.")
def show(import_id: UUID, *, user_id: str, as_json: bool) -> None:
    """Show an IMPORT.

    Exit codes: 0; 1 it is not applied, or not whole; 2 trouble.
    """
    from class_management.cli.rosters import actions

    run(lambda settings: actions.show(settings, user_id, import_id, as_json=as_json))


@rosters.command(short_help="Write rosters into a file.")
@_user
@_class
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "oneroster"]),
    default="csv",
    show_default=True,
    help="CSV for spreadsheets, or a zip of OneRoster 1.2 (CSV).",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help="The file to write, which others cannot read; - is standard output.",
)
def export(*, user_id: str, class_id: UUID | None, form: str, path: Path) -> None:
    """Write the roster of a class, or all classes of a teacher.

    An import of the file changes nothing.

    Exit codes: 0; 2 trouble.
    """
    from class_management.cli.rosters import exports

    run(lambda settings: exports.export(settings, user_id, class_id, form, path))
