"""What the floors send is in order, and what they store of it can be read again."""

import asyncio
import marshal
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.kafka.partitioner import partition_for
from bench.floors.storing import PACK_BYTES, packed
from bench.packing import Message, Packer

PARTITIONS = [0, 1, 2]

keys = st.sampled_from([b"a", b"b", b"c", b"d"])
messages = st.lists(
    st.tuples(
        st.sampled_from(["one", "other"]),
        keys,
        st.one_of(st.binary(max_size=20), st.just(b"x" * 9_000)),
        st.just([("name", b"value")]),
    ),
    max_size=30,
)


class Batch:
    """A batch with room for three messages."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.is_closed = False

    def append(self, *, value: bytes, **_: object) -> object:
        assert not self.is_closed
        if len(self.values) == 3:
            return None
        self.values.append(value)
        return object()

    def close(self) -> None:
        self.is_closed = True


class Producer:
    def __init__(self) -> None:
        self.sent: dict[tuple[str, int], list[bytes]] = {}

    def create_batch(self) -> Batch:
        return Batch()

    async def partitions_for(self, _: str) -> set[int]:
        return set(PARTITIONS)

    async def send_batch(
        self, batch: Batch, topic: str, *, partition: int
    ) -> "asyncio.Future[None]":
        assert batch.is_closed
        self.sent.setdefault((topic, partition), []).extend(batch.values)
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        arrived.set_result(None)
        return arrived


@given(messages)
async def test_each_partition_gets_its_messages_in_their_order(sent: list[Message]) -> None:
    producer: Any = Producer()
    await Packer(producer).send(sent)
    expected: dict[tuple[str, int], list[bytes]] = {}
    for topic, key, value, _ in sent:
        expected.setdefault((topic, partition_for(key, PARTITIONS)), []).append(value)
    assert producer.sent == expected


@given(messages)
def test_packs_have_all_messages_in_their_order_and_fit_into_a_page(sent: list[Message]) -> None:
    packs = packed(sent)
    unpacked: list[Sequence[Message]] = [marshal.loads(pack) for pack in packs]  # noqa: S302
    assert [message for pack in unpacked for message in pack] == sent
    for pack, content in zip(packs, unpacked, strict=True):
        assert len(pack) <= PACK_BYTES + 200 or len(content) == 1
