"""The workers' logs about gaps: whether the stream has ever skipped messages."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

SKIPPED: Final = b"skipped by the stream and read again"


def skip_counts(paths: Sequence[Path]) -> Mapping[str, int]:
    """Count the gaps that were read again: with messages, how many messages, and empty ones."""
    counts = Counter({"skips_with_messages": 0, "skipped_messages": 0, "skips_of_nothing": 0})
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                if SKIPPED in line:
                    found = _found(line)
                    counts["skips_with_messages"] += found > 0
                    counts["skipped_messages"] += found
                    counts["skips_of_nothing"] += found == 0
    return counts


def _found(line: bytes) -> int:
    """Return how many messages a gap had. The line may be cut off where a worker died."""
    try:
        return int(orjson.loads(line)["found"])
    except (orjson.JSONDecodeError, KeyError):
        return 0
