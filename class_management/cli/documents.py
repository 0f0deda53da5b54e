"""`class-management openapi` and `asyncapi`: the documents, for the builds of others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from class_management.cli.runner import fail

#: Shared by the commands that print a document.
output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it, instead of standard output.",
)


@click.command()
@output_option
def openapi(output: Path | None) -> None:
    """Print the OpenAPI document of the HTTP API.

    It is what a process of this version answers at /openapi.json. Nothing has to run, and no
    setting matters.
    """
    from web.documents.openapi import document
    from web.table import OPERATIONS

    write(document(OPERATIONS), output)


@click.command()
@output_option
def asyncapi(output: Path | None) -> None:
    """Print the AsyncAPI document of what is on Kafka and Redis.

    It is what a process of this version answers at /asyncapi.json. Nothing has to run, and no
    setting matters.
    """
    from web.documents.asyncapi import document

    write(document(), output)


def write(document: Mapping[str, Any], output: Path | None) -> None:
    """Write a document to a file, or to standard output."""
    from web.documents.served import as_text

    text = as_text(document)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{output}: {error.strerror}")
