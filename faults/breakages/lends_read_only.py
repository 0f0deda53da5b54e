"""Sessions that may not write any more are lent again and again."""

from typing import Any

from store.postgres import database


def never(*_: Any) -> bool:  # noqa: ANN401  # as the originals
    """See nothing in a session or an error."""
    return False


async def learn(*_: Any) -> None:  # noqa: ANN401
    """Learn nothing from an error about other sessions."""


setattr(database, "is_read_only", never)  # noqa: B010  # mypy does not see the name
setattr(database, "session_lost", never)  # noqa: B010
setattr(database.Database, "learn", learn)  # noqa: B010
setattr(database.Database, "expire", learn)  # noqa: B010
