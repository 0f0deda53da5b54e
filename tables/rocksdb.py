"""Faust's RocksDB store with bounded memory; damaged files are rebuilt."""

import asyncio
import gc
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from faust import stores
from faust.stores.rocksdb import Store
from faust.types import TP, EventT
from rocksdict import (
    BlockBasedOptions,
    Cache,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
)

from tables.partitioning import Partitioning
from tables.restore import ChangelogRestorer, ReportsProtocol, passed_over, put
from tables.scan import STEP, rows_after
from telemetry.logs import get_logger

SCHEME: Final = "pending"

_MIB: Final = 1024 * 1024
_BLOCK_BYTES: Final = 16 * 1024
_MAX_OPEN_FILES: Final = 64
#: A file with this many deletions in a window of successive rows is compacted at once: a scan over
#: a million of them would block everything else for 60 ms (2 ms then).
_DELETION_WINDOW: Final = 4096
_DELETION_TRIGGER: Final = 2048
_DELETION_RATIO: Final = 0.5

#: RocksDB's messages for damaged or missing files, but not for a full disk or a lock.
_DAMAGE: Final = ("Corruption:", "No such file or directory", "File exists")

_log = get_logger(__name__)


class SharedMemory:
    """Bounds the memory of all partitions together: blocks read and rows written.

    All of it is charged to one cache, indexes and filters included.
    """

    def __init__(self, memory_bytes: int, partitions: int) -> None:
        self._cache = Cache(memory_bytes)
        self._writes = WriteBufferManager.new_write_buffer_manager_with_cache(
            memory_bytes // 2,
            False,  # noqa: FBT003  # rocksdict's signature: no stall when full
            self._cache,
        )
        self._write_buffer = min(max(memory_bytes // (2 * partitions), _MIB), 64 * _MIB)

    @property
    def used_bytes(self) -> int:
        """The memory in use."""
        return self._cache.get_usage()

    def options(self) -> Options:
        """Return the options of a partition's database."""
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_block_size(_BLOCK_BYTES)
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_bloom_filter(10, False)  # noqa: FBT003  # rocksdict's signature
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003
        options.set_block_based_table_factory(blocks)
        options.set_write_buffer_manager(self._writes)
        options.set_write_buffer_size(self._write_buffer)
        options.set_max_open_files(_MAX_OPEN_FILES)
        options.set_max_background_jobs(2)
        options.set_keep_log_file_num(2)
        options.add_compact_on_deletion_collector_factory(
            _DELETION_WINDOW, _DELETION_TRIGGER, _DELETION_RATIO
        )
        return options


class PendingStore(Store):
    """The databases of the table of pending associations, one per partition."""

    logger = logging.getLogger("faust.stores")

    def __init__(self, *args: Any, options: Mapping[str, Any], **kwargs: Any) -> None:  # noqa: ANN401  # Faust's signature
        self._memory: SharedMemory = options["memory"]
        self._restorer: ChangelogRestorer = options["restorer"]
        self._reports: ReportsProtocol = options["reports"]
        self._partitioning: Partitioning = options["partitioning"]
        super().__init__(*args, options={"driver": "rocksdict"}, **kwargs)

    def _open_for_partition(self, partition: int) -> Rdict:
        damage = ""
        try:
            return self._open(partition)
        except Exception as error:
            if not is_damage(error):
                raise
            damage = str(error)
        self.discard(partition, damage)
        return self._open(partition)

    def _open(self, partition: int) -> Rdict:
        return Rdict(str(self.partition_path(partition)), options=self._memory.options())

    async def _try_open_db_for_partition(
        self,
        partition: int,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Rdict:
        """Open a partition and read all of it once: only that reveals damage inside."""
        known = partition in self._dbs
        database: Rdict = await super()._try_open_db_for_partition(partition, *args, **kwargs)
        if known or database is None:
            return database
        if damage := await _damage_within(database):
            del database  # this last reference holds the lock
            self.discard(partition, damage)
            database = self._db_for_partition(partition)
        return database

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Open the partitions that this worker owns now, and restore those that are new to it.

        Partitions that it keeps are left alone: the changelog may hold its own writes, older than
        its entries. A partition that another worker owned while this one hung goes through
        Faust's recovery, because Faust does not call it new.
        """
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        mine = self.app.assignor.assigned_actives() & newly_assigned
        topics = self.table.changelog_topic.topics
        await self._restorer.restore(self, sorted(tp for tp in mine if tp.topic in topics))

    def apply_changelog_batch(
        self,
        batch: Iterable[EventT[Any]],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """Apply what Faust's recovery has read: what the restorer left to it."""
        del to_key, to_value
        writes: defaultdict[int, WriteBatch] = defaultdict(lambda: WriteBatch(raw_mode=True))
        offsets: dict[TP, int] = {}
        for event in batch:
            message = event.message
            offsets[message.tp] = message.offset
            if missing := passed_over(message):
                self._reports.passed_over(missing)
                continue
            place = message.partition
            put(writes[place], message.key, message.value, place, self._partitioning)
        for partition, written in writes.items():
            self.write(partition, written)
        for tp, offset in offsets.items():
            self.set_persisted_offset(tp, offset)

    def write(self, partition: int, batch: WriteBatch) -> None:
        """Write to a partition, all or nothing."""
        self._db_for_partition(partition).write(batch)

    def discard(self, partition: int, damage: str) -> None:
        """Delete a partition's files; it is opened empty when next needed."""
        _log.warning(
            "table partition is damaged, built anew from its changelog",
            partition=partition,
            damage=damage[:200],
        )
        self._dbs.pop(partition, None)
        gc.collect()
        path = self.partition_path(partition)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


async def _damage_within(database: Rdict) -> str:
    """Read everything; return RocksDB's message about damaged files, or ""."""
    after: bytes | None = None
    try:
        while rows := rows_after(database, after, STEP):
            after = rows[-1][0]
            await asyncio.sleep(0)
    except Exception as error:
        if not is_damage(error):
            raise
        return str(error)
    return ""


def is_damage(error: BaseException) -> bool:
    """Return whether RocksDB's error means damaged files."""
    return any(sign in str(error) for sign in _DAMAGE)


def store_url() -> str:
    """Register this store with Faust; return the URL for an App's `store` option."""
    stores.STORES.aliases[SCHEME] = f"{__name__}:{PendingStore.__name__}"
    return f"{SCHEME}://"
