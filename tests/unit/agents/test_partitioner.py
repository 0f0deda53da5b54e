"""A key has the same partition as with every other Kafka client."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from agents.kafka.partitioner import partition_for

PARTITIONS = list(range(8))


@given(key=st.binary(max_size=300), count=st.integers(1, 50) | st.just(2**31))
def test_a_key_has_the_partition_that_aiokafka_gives_it(key: bytes, count: int) -> None:
    partitions = range(count)
    assert partition_for(key, partitions) == DefaultPartitioner()(key, partitions, partitions)


def test_a_key_has_the_partition_that_it_has_always_had() -> None:
    known = {b"": 1, b"teacher-1": 4, b"a": 4, "Öberg".encode(): 1}
    assert {key: partition_for(key, PARTITIONS) for key in known} == known


def test_what_has_no_key_goes_to_any_partition() -> None:
    assert {partition_for(None, PARTITIONS) for _ in range(500)} == set(PARTITIONS)
