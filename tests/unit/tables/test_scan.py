"""Reading a partition's database in steps."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from rocksdict import Rdict, WriteBatch

from tables import scan
from tables.codec import id_of, key_of
from tables.rocksdb import SharedMemory, is_damage
from tables.scan import count_after, rows_after

MEMORY = SharedMemory(16 * 1024 * 1024, 1)
#: Faust's bookkeeping, and what sorts behind all batches.
OTHERS = (b"__faust\0offset__", b"zzz")


def opened(path: Path) -> Rdict:
    return Rdict(str(path), options=MEMORY.options())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Rdict]:
    database = opened(tmp_path / "p.db")
    for key in OTHERS:
        database.put(key, b"17")
    yield database
    database.close()


def fill(database: Rdict, count: int) -> None:
    batch = WriteBatch(raw_mode=True)
    for number in range(count):
        batch.put(key_of(UUID(int=number)), b"value")
    database.write(batch)


def walked(database: Rdict, limit: int) -> list[int]:
    numbers: list[int] = []
    after: bytes | None = None
    while rows := rows_after(database, after, limit):
        assert len(rows) <= limit
        numbers += [id_of(key).int for key, _ in rows]
        after = rows[-1][0]
    return numbers


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 100])
def test_every_entry_is_read_once_and_nothing_else(database: Rdict, count: int) -> None:
    fill(database, count)
    assert walked(database, 7) == list(range(count))


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 100])
def test_every_entry_is_counted_once(
    database: Rdict, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "COUNT_STEP", 7)
    fill(database, count)
    total, after = count_after(database, None)
    while after is not None:
        counted, after = count_after(database, after)
        total += counted
    assert total == count


def test_what_is_deleted_meanwhile_does_not_end_the_walk(database: Rdict) -> None:
    fill(database, 20)
    first = rows_after(database, None, 5)
    database.delete(first[-1][0])
    assert id_of(rows_after(database, first[-1][0], 5)[0][0]).int == 5


def test_damage_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    database = opened(path)
    fill(database, 50_000)
    database.flush()
    database.close()
    file = max(path.glob("*.sst"), key=lambda each: each.stat().st_size)
    with file.open("r+b") as out:
        out.seek(file.stat().st_size // 2)
        out.write(bytes(200))
    del database
    damaged = opened(path)
    with pytest.raises(Exception, match="Corruption") as caught:
        walked(damaged, 2_000)
    assert is_damage(caught.value)
    del damaged
