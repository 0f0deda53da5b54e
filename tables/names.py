"""Names that others need to know without opening a table."""

from typing import Final

PENDING_ASSOCIATIONS: Final = "pending-associations"


def changelog_topic(consumer_group: str) -> str:
    """Return the changelog topic that Faust uses for the table of pending associations."""
    return f"{consumer_group}-{PENDING_ASSOCIATIONS}-changelog"
