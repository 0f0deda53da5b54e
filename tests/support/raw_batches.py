"""Record batches as no client writes them, and a way to write them past all clients."""

import os
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from devstack.apache import ApacheKafka
from devstack.broker import Broker

GZIP, SNAPPY, LZ4, ZSTD = range(1, 5)
CODECS: Final = {"none": 0, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

_HEADER_BYTES: Final = 61
_LENGTH_AT: Final = 8
_MAGIC_AT: Final = 16
_CRC_AT: Final = 17
_ATTRIBUTES_AT: Final = 21
_CODEC_AT: Final = 22
_LAST_DELTA_AT: Final = 23
_COUNT_AT: Final = 57
_TIMEOUT_MS: Final = 5_000
_SIZE: Final = 1 << 24


def batch(*values: bytes, codec: int = 0, key: bytes = b"key") -> bytearray:
    """Return a batch of records with these values, at offset 0."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, _SIZE)  # noqa: FBT003  # theirs
    for number, value in enumerate(values):
        builder.append(number, 1_700_000_000_000 + number, key, value, [])
    return bytearray(builder.build())


def at_offset(data: bytearray, offset: int) -> bytearray:
    """Say where a batch lies in its log, which its checksum does not cover."""
    struct.pack_into(">q", data, 0, offset)
    return data


def sealed(data: bytearray) -> bytearray:
    """Give a changed batch the length and the checksum that are right for it."""
    struct.pack_into(">i", data, _LENGTH_AT, len(data) - _LENGTH_AT - 4)
    struct.pack_into(">I", data, _CRC_AT, calc_crc32c(bytes(data[_ATTRIBUTES_AT:])))
    return data


def _wrong_checksum(data: bytearray) -> bytearray:
    data[-3] ^= 0xFF
    return data


def _broken_payload(data: bytearray) -> bytearray:
    del data[-5:]
    return sealed(data)


def _unknown_codec(data: bytearray) -> bytearray:
    data[_CODEC_AT] |= 7
    return sealed(data)


def _unknown_form(data: bytearray) -> bytearray:
    data[_MAGIC_AT] = 9
    return data


def _records(count: int) -> Callable[[bytearray], bytearray]:
    def claim(data: bytearray) -> bytearray:
        struct.pack_into(">i", data, _COUNT_AT, count)
        return sealed(data)

    return claim


def _no_end(data: bytearray) -> bytearray:
    struct.pack_into(">i", data, _LAST_DELTA_AT, -5)
    return sealed(data)


def _wrong_length(data: bytearray) -> bytearray:
    struct.pack_into(">i", data, _LENGTH_AT, len(data) * 2)
    return data


def _header_not_utf8(data: bytearray) -> bytearray:
    del data
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, _SIZE)  # noqa: FBT003
    for number in range(3):
        builder.append(number, 1, b"key", b"value", [("name", b"")])
    return sealed(bytearray(builder.build()).replace(b"name", b"nam\xff"))


#: What can be wrong with a batch of three records.
FAULTS: Final[Mapping[str, Callable[[bytearray], bytearray]]] = {
    "checksum": _wrong_checksum,
    "payload": _broken_payload,
    "codec": _unknown_codec,
    "form": _unknown_form,
    "more records": _records(5),
    "fewer records": _records(2),
    "negative records": _records(-1),
    "no end": _no_end,
    "length": _wrong_length,
    "header": _header_not_utf8,
}


def broken(fault: str, *, codec: int = 0) -> bytearray:
    """Return a batch of three records that cannot be decoded."""
    return FAULTS[fault](batch(*[b"value" * 20] * 3, codec=codec))


def packed(codec: int, payload: bytes) -> bytearray:
    """Return a batch of one record with this as its compressed payload."""
    data = batch(b"value")[:_HEADER_BYTES] + payload
    data[_CODEC_AT] |= codec
    return sealed(data)


def bomb(codec: int, unpacked: int) -> bytearray:
    """Return a batch with a small payload that takes this much memory."""
    compress: dict[int, Any] = {
        GZIP: cramjam.gzip.compress,
        SNAPPY: cramjam.snappy.compress_raw,
        LZ4: cramjam.lz4.compress,
        ZSTD: cramjam.zstd.compress,
    }
    return packed(codec, bytes(compress[codec](bytes(unpacked))))


async def produce(producer: AIOKafkaProducer, place: TopicPartition, data: bytearray) -> int:
    """Write a batch as it is; return its offset. Raises AssertionError if the broker refuses it."""
    await producer.client.set_topics([place.topic])
    await producer.client.force_metadata_update()
    leader = producer.client.cluster.leader_for_partition(place)
    topics = [(place.topic, [(place.partition, bytes(data))])]
    answer: Any = await producer.client.send(leader, ProduceRequest(None, -1, _TIMEOUT_MS, topics))
    ((_, ((_, error, offset, *_),)),) = answer.topics
    assert error == 0, f"the broker refuses the batch: {error}"
    return int(offset)


def damage_on_disk(broker: ApacheKafka, place: TopicPartition) -> None:
    """Damage what was last written to a partition."""
    (log,) = broker.data_dir.glob(f"logs/{place.topic}-{place.partition}/*.log")
    with log.open("r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(bytes(8))


async def write_damaged(broker: Broker, producer: AIOKafkaProducer, place: TopicPartition) -> None:
    """Have a batch lie in a partition whose checksum does not hold."""
    if isinstance(broker, ApacheKafka):
        # It refuses what is damaged before it is written.
        await producer.send_and_wait(place.topic, os.urandom(200), partition=place.partition)
        damage_on_disk(broker, place)
    else:
        await produce(producer, place, broken("checksum"))
