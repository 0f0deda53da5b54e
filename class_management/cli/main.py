"""`class-management`: the commands for operators of the service.

Commands import what they need when they run: Faust alone takes most of a second.
"""

import click

from class_management.cli.batch.commands import batch
from class_management.cli.dlt.commands import dlt
from class_management.cli.documents import asyncapi, openapi
from class_management.cli.migrate import migrate
from class_management.cli.outbox.commands import outbox
from class_management.cli.privacy.commands import privacy
from class_management.cli.rosters.commands import rosters
from class_management.cli.send.commands import send
from class_management.cli.students.commands import students
from class_management.cli.tables.commands import tables
from class_management.cli.topics import topics
from class_management.cli.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="class-management-service")
def main() -> None:
    """Operate the Class Management Service.

    Everything is configured through environment variables that begin with
    CLASS_MANAGEMENT_SERVICE_; docs/configuration.md lists them.
    """


for command in (
    worker,
    migrate,
    topics,
    asyncapi,
    batch,
    dlt,
    openapi,
    outbox,
    rosters,
    privacy,
    send,
    students,
    tables,
):
    main.add_command(command)
