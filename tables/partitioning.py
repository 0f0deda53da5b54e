"""How batches map to partitions."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How many partitions the table has, and which one holds a batch's entry."""

    count: int
    of: Callable[[UUID], int]
