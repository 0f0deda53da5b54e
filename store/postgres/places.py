"""How many students classes have, where that matters."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from rules.joining import crowded
from rules.limits import MAX_STUDENTS
from store.postgres import sql
from store.postgres.database import Connection


async def exact_sizes(
    connection: Connection, joins: Iterable[UUID], sizes: Mapping[UUID, int]
) -> dict[UUID, int]:
    """Return how many students classes have without the UNKNOWN one, if there may be too many.

    Each of `joins` is one student for a class; `sizes` count the UNKNOWN one, too. A class has room
    for all as a rule: then nothing.
    """
    if not crowded(joins, sizes, MAX_STUDENTS):
        return {}
    found = await connection.fetch(sql.classes.CLASS_SIZES, list(sizes))
    return {row["id"]: row["size"] for row in found}
