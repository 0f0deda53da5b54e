"""What the harness does to a broker's files: a batch becomes undecodable, and no other."""

from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from faults.injectors import damage


def batch(offset: int, value: bytes) -> bytes:
    builder: Any = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=10_000,
    )
    builder.append(0, timestamp=1, key=b"k", value=value, headers=[])
    return offset.to_bytes(8, "big") + bytes(builder.build())[8:]


def values(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    records = MemoryRecords(data)
    while records.has_next():
        one = records.next_batch()
        assert one is not None
        if not one.validate_crc():
            raise CorruptRecordException
        found += [record.value for record in one]
    return found


@pytest.mark.parametrize("harm", damage.DAMAGES, ids=lambda harm: harm.__qualname__)
def test_the_batch_cannot_be_decoded_and_its_neighbours_can(
    tmp_path: Path, harm: damage.Damage
) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(b"".join(batch(offset, b"value %d" % offset * 20) for offset in (4, 5, 6)))
    assert damage._change(log, 5, harm)
    data = log.read_bytes()
    size = len(data) // 3
    assert values(data[:size]) + values(data[2 * size :]) == [b"value 4" * 20, b"value 6" * 20]
    with pytest.raises((CorruptRecordException, UnsupportedCodecError, Exception)):
        values(data[size : 2 * size])


def test_a_batch_that_is_not_there_is_not_damaged(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(batch(4, b"value"))
    assert not damage._change(log, 5, damage.unknown_codec)
    assert log.read_bytes() == batch(4, b"value")
