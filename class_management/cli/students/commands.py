"""The commands of `class-management students`."""

import click

from class_management.cli.options import json_option
from class_management.cli.runner import run


@click.group()
def students() -> None:
    """Look at students whose addresses collide.

    Needs DATABASE_URL.
    """


@students.command(short_help="List students that share an address with another one of their owner.")
@json_option("Print a JSON object a line.")
def collisions(*, as_json: bool) -> None:
    """List students that share an address with another one of their owner.

    Earlier versions took two spellings of one address for two. Both students stay
    and can be changed; the oldest has the address, and new students with it are
    refused. It is their owner, a teacher, who knows whether they are one person.

    Shows ids only: names and addresses are personal.

    Exit codes: 0 there are none; 1 there are some; 2 trouble.
    """
    from class_management.cli.students import actions

    run(lambda settings: actions.list_collisions(settings, as_json=as_json))
