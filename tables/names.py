"""Names that are needed without opening a table."""

from typing import Final

PENDING_ASSOCIATIONS: Final = "pending-associations"


def changelog_topic(consumer_group: str) -> str:
    """Return the name that Faust gives the changelog topic of the table."""
    return f"{consumer_group}-{PENDING_ASSOCIATIONS}-changelog"
