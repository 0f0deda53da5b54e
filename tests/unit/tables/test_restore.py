"""What of a changelog gets into a partition's database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from rocksdict import Rdict, WriteBatch

from agents.kafka.partitioner import partitioning
from rules import models
from tables.codec import TimerEntry, key_of, pack
from tables.restore import ChangelogProtocol, _Run
from tables.rocksdb import SharedMemory

PARTITIONS: Final = 4
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Record:
    offset: int
    key: bytes | None
    value: bytes | None


class Reports:
    """What was found missing."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.offsets: list[tuple[int, int]] = []

    def passed_over(self, record: models.Record) -> None:
        assert record.undecodable is not None
        self.batches.append((record.undecodable.first_offset, record.offset))

    def lost(self, _place: Any, begin: int, end: int) -> None:  # noqa: ANN401
        self.offsets.append((begin, end))


class Changelog:
    """A changelog with some messages; behind the last one may be markers of transactions."""

    def __init__(self, place: TopicPartition, begin: int, end: int, *messages: Any) -> None:  # noqa: ANN401
        self.unread = {place}
        self._place = place
        self._bounds = begin, end
        self._messages = messages

    async def bounds(self, _places: Any) -> dict[Any, tuple[int, int]]:  # noqa: ANN401
        return {self._place: self._bounds}

    def read(self, _stretches: Any) -> "Changelog":  # noqa: ANN401
        return self

    async def poll(self) -> dict[Any, Any]:
        self.unread = set()
        return {self._place: self._messages} if self._messages else {}


class Databases:
    """One partition's database and the offset beside it."""

    def __init__(self, path: Path) -> None:
        self.database = Rdict(
            str(path), options=SharedMemory(16 * 1024 * 1024, PARTITIONS).options()
        )
        self.offset: int | None = None

    def persisted_offset(self, _tp: Any) -> int | None:  # noqa: ANN401
        return self.offset

    def set_persisted_offset(self, _tp: Any, offset: int) -> None:  # noqa: ANN401
        self.offset = offset

    def write(self, _partition: int, batch: WriteBatch) -> None:
        self.database.write(batch)

    def keys(self) -> set[bytes]:
        return {cast("bytes", key) for key in self.database.keys()}  # noqa: SIM118  # no dict


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    return Databases(tmp_path / "p.db")


def written(databases: Databases, partition: int, *records: Record) -> set[bytes]:
    """Write records of a partition; return the keys that are there then."""
    run = _Run(cast("ChangelogProtocol", None), databases, partitioning(PARTITIONS), Reports())
    run._write(TopicPartition("changelog", partition), records)
    return databases.keys()


def entry(batch_id: UUID, offset: int, partitions: int = PARTITIONS) -> Record:
    value = pack(TimerEntry(batch_id, batch_id, 1, AT, AT), partitions)
    return Record(offset, key_of(batch_id), value)


def batch_in(partition: int) -> UUID:
    while partitioning(PARTITIONS).of(batch := uuid4()) != partition:
        pass
    return batch


def test_entries_are_set_and_deleted_in_their_order(databases: Databases) -> None:
    one, other = batch_in(2), batch_in(2)
    gone = Record(2, key_of(one), None)
    assert written(databases, 2, entry(one, 0), entry(other, 1), gone) == {key_of(other)}
    assert written(databases, 2, entry(one, 3)) == {key_of(one), key_of(other)}
    assert databases.offset == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (str(uuid4()).encode(), b'{"class_id": "an entry of an older format"}'),
        (b"b" + bytes(16), b""),
        (b"b" + bytes(16), b"\x01" + bytes(38)),
        (b"b" + bytes(16), b"\x02\0\x04" + b"\xff" * 8 + bytes(28)),
        (b"b" + bytes(17), b"\x02\0\x04" + bytes(36)),
        (b"", b"x"),
        (None, b"x"),
    ],
)
def test_what_is_no_entry_is_left_out(
    databases: Databases, key: bytes | None, value: bytes
) -> None:
    assert written(databases, 0, Record(17, key, value)) == set()
    assert databases.offset == 17


def test_an_entry_from_a_time_with_other_partitions_stays_only_where_it_belongs(
    databases: Databases,
) -> None:
    here, elsewhere = batch_in(1), batch_in(3)
    records = (entry(here, 0, partitions=2), entry(elsewhere, 1, partitions=2))
    assert written(databases, 1, *records) == {key_of(here)}


async def restored(databases: Databases, reports: Reports, changelog: Changelog) -> None:
    run = _Run(changelog, databases, partitioning(PARTITIONS), reports)
    await run.execute([TopicPartition("changelog", 1)], lambda: False)


async def test_what_a_changelog_has_lost_is_told(databases: Databases) -> None:
    place, reports = TopicPartition("changelog", 1), Reports()
    databases.offset = 4
    await restored(databases, reports, Changelog(place, 9, 10, entry(batch_in(1), 9)))
    assert reports.offsets == [(5, 9)]
    # A table without files reads what there is.
    databases.offset = None
    await restored(databases, reports, Changelog(place, 9, 10, entry(batch_in(1), 9)))
    assert reports.offsets == [(5, 9)]


async def test_a_batch_of_the_changelog_that_cannot_be_decoded_is_told(
    databases: Databases,
) -> None:
    here, reports = batch_in(1), Reports()
    batch = models.Undecodable(0, "fault")
    message = models.Record("changelog", 1, 4, 0, None, None, (), undecodable=batch)
    changelog = Changelog(TopicPartition("changelog", 1), 0, 6, message, entry(here, 5))
    await restored(databases, reports, changelog)
    assert reports.batches == [(0, 4)]
    assert (databases.keys(), databases.offset) == ({key_of(here)}, 5)


@pytest.mark.parametrize("read", [None, 2])
async def test_a_changelog_that_ends_with_markers_is_read_to_its_end(
    databases: Databases, read: int | None
) -> None:
    """Faust would wait for a record at the last offset."""
    databases.offset = read
    await restored(databases, Reports(), Changelog(TopicPartition("changelog", 1), 0, 5))
    assert databases.offset == 4
