"""`class-management worker`: runs the service."""

import contextlib
import gc
import sys
from collections.abc import Iterator

import click

from class_management.cli.runner import fail, read_settings, setup_logs
from class_management.settings import Role, SettingsError


@click.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many to run behind one port; more than one with ROLE=web only.",
)
def worker(processes: int) -> None:
    """Run the service until SIGINT or SIGTERM.

    By CLASS_MANAGEMENT_SERVICE_ROLE it answers HTTP ("web"), takes part in the streams with
    agents, timers and relay ("stream"), or both ("all", the default).
    """
    settings = read_settings()
    setup_logs(settings)
    if processes > 1 and settings.role is not Role.WEB:
        raise click.UsageError("--processes needs CLASS_MANAGEMENT_SERVICE_ROLE=web.")
    with _importing():
        from class_management.machine import check_machine
        from class_management.tokens import check_tokens

    try:
        check_machine(settings)
        check_tokens(settings)
        if processes > 1:
            from class_management.processes import WebProcesses

            sys.exit(WebProcesses(processes).run())
        with _importing():
            from class_management.worker import run_worker

        run_worker(settings)
    except SettingsError as error:
        fail(str(error))


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Look for no garbage among modules, where there is none: it takes a sixth of their import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
