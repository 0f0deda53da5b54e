"""Reads a partition's database in steps; no iterator outlives a step.

An iterator would keep the database of a revoked partition open, and its lock with it.
"""

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from tables.codec import KEY_PREFIX, KEYS_END

Row: TypeAlias = tuple[bytes, bytes]

#: Rows that take one or two milliseconds; other tasks run between two steps.
STEP: Final = 2_000
#: Keys for a step that only counts, ten times as fast per key.
COUNT_STEP: Final = 50_000


def rows_after(database: Any, after: bytes | None, limit: int = STEP) -> Sequence[Row]:  # noqa: ANN401  # rocksdict has no common type
    """Return entries in key order, those that follow `after`.

    Raises rocksdict's plain Exception for a damaged file, which its iteration takes for the end.
    """
    start = KEY_PREFIX if after is None else after + b"\0"
    rows = list(itertools.islice(database.items(from_key=start), limit))
    while rows and rows[-1][0] >= KEYS_END:
        rows.pop()
    if len(rows) < limit:
        _check_end(database, rows[-1][0] if rows else start)
    return rows


def count_after(
    database: Any,  # noqa: ANN401
    after: bytes | None,
) -> tuple[int, bytes | None]:
    """Count up to `COUNT_STEP` entries; return how many and the last key, None at the end.

    Raises as `rows_after` does.
    """
    start = KEY_PREFIX if after is None else after + b"\0"
    keys = itertools.islice(database.keys(from_key=start), COUNT_STEP)
    numbered = itertools.takewhile(_is_entry, keys)
    last = deque(enumerate(numbered, 1), maxlen=1)
    counted, key = last[0] if last else (0, start)
    if counted == COUNT_STEP:
        return counted, key
    _check_end(database, key)
    return counted, None


def _is_entry(key: bytes) -> bool:
    return key < KEYS_END


def _check_end(database: Any, last: bytes) -> None:  # noqa: ANN401
    iterator = database.iter()
    iterator.seek(last)
    if iterator.valid():
        iterator.next()
    iterator.status()
