"""What goes wrong around a command, and how it is said."""

import click


class TroubleError(Exception):
    """Kafka or PostgreSQL does not do what is asked of it; the message is a line for a person."""


def warn(message: str) -> None:
    """Say something on standard error."""
    click.echo(f"class-management: {message}", err=True)
