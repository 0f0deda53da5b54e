"""A key has the same partition as with every other Kafka client."""

from random import Random

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from agents.kafka.partitioner import hashes_of, partition_for, partition_of

PARTITIONS = list(range(8))


@given(key=st.binary(max_size=300), count=st.integers(1, 50) | st.just(2**31))
def test_a_key_has_the_partition_that_aiokafka_gives_it(key: bytes, count: int) -> None:
    partitions = range(count)
    assert partition_for(key, partitions) == DefaultPartitioner()(key, partitions, partitions)


@given(st.lists(st.binary(max_size=12) | st.binary(min_size=36, max_size=36)))
def test_many_keys_have_the_partitions_that_each_has_alone(keys: list[bytes]) -> None:
    hashes = hashes_of(keys)
    assert [partition_of(key, hashes, PARTITIONS) for key in keys] == [
        partition_for(key, PARTITIONS) for key in keys
    ]


LENGTHS = st.integers(0, 70) | st.integers(250, 260)


@given(length=LENGTHS, count=st.integers(1, 1100), seed=st.integers(0, 2**32))
def test_any_number_of_keys_of_a_length_is_hashed_as_aiokafka_does(
    length: int, count: int, seed: int
) -> None:
    random = Random(seed)  # no secret
    keys = [random.randbytes(length) for _ in range(count)]
    partitions, hashes = range(2**31), hashes_of([None, *keys])
    for key in {keys[0], keys[count // 2], keys[-1]}:
        expected = DefaultPartitioner()(key, partitions, partitions)
        assert partition_of(key, hashes, partitions) == expected


def test_a_key_has_the_partition_that_it_has_always_had() -> None:
    known = {b"": 1, b"teacher-1": 4, b"a": 4, "Öberg".encode(): 1}
    assert {key: partition_for(key, PARTITIONS) for key in known} == known


def test_what_has_no_key_goes_to_any_partition() -> None:
    assert {partition_for(None, PARTITIONS) for _ in range(500)} == set(PARTITIONS)
