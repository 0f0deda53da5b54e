"""Removes rows from the table that are no entries of their partition.

They come from an older version that took what it could not hold, from whoever may write to the
changelog, or from a time with other partitions. Readers leave them out; nobody else removes them.
"""

from store.pace import Pace
from tables.pending import PendingTable
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_log = get_logger(__name__)


async def remove_strays(table: PendingTable, metrics: Metrics) -> None:
    """Look at each row of this worker's partitions; other tasks run meanwhile."""
    pace = Pace()
    async for partition, rows in table.rows():
        removed = 0
        for key, value in rows:
            if not table.belongs(key, value, partition):
                removed += table.remove(partition, key)
            await pace.keep()
        if removed:
            metrics.strays.inc(removed)
            _log.warning("rows removed from the table", partition=partition, rows=removed)
