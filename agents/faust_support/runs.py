"""Runs: records of a partition that pass through Faust together, as one message.

Faust spends 20 to 30 us on each message: a callback, a lock, six coroutines, an event, reference
counts, sets and lists of offsets. It spends as much on a run.
"""

from collections.abc import Sequence
from typing import Final

from rules.models import Record

#: The most records of a run. Faust takes turns between the partitions of a topic after each run,
#: so with longer ones who has sent much holds up others.
RUN_RECORDS: Final = 25
#: The most runs that wait for an agent, after which its partitions are not read on.
WAITING_RUNS: Final = 160


class Run(list[Record]):
    """Records that follow each other, at least one."""


def runs_of(records: Sequence[Record]) -> list[Run]:
    """Split what was fetched of a partition."""
    return [Run(records[n : n + RUN_RECORDS]) for n in range(0, len(records), RUN_RECORDS)]
