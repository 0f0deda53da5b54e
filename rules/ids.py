"""Identifiers that the service makes."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a time-ordered UUID (version 7, RFC 9562), which keeps B-trees compact."""
    return uuid7()
