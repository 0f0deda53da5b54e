"""How the inbox tells events apart: by their topic and their event id.

A row has one id: the event's own, unless an event of another topic has taken it. That is rare; but
a sender who gives one id to messages on two topics means two messages all the same.
"""

from typing import Final
from uuid import UUID, uuid5

_BESIDE: Final = UUID("0d3e5b0c-6c0f-5d58-8d0a-6f5a4f7c9e21")


def id_beside(topic: str, event_id: UUID) -> UUID:
    """Return the id under which a topic's event is known whose own id is another topic's."""
    return uuid5(_BESIDE, f"{topic}/{event_id}")
