"""How the table is divided among partitions."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Partitioning:
    """Into how many partitions the table is divided, and in which one a batch's entry is."""

    count: int
    of: Callable[[UUID], int]
