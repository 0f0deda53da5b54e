"""Which record batches can be decoded, and where those lie that cannot."""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.kafka.decompression import MOST_BYTES, bound_decompression
from agents.kafka.record_batches import MOST_RECORDS, FetchedBatches, Header, UndecodableBatchError
from tests.support.raw_batches import (
    CODECS,
    FAULTS,
    GZIP,
    LZ4,
    SNAPPY,
    ZSTD,
    at_offset,
    batch,
    bomb,
    broken,
    packed,
    sealed,
)

BASE: Final = 40


@pytest.fixture(autouse=True)
def bounded() -> None:
    bound_decompression()


def peak_bytes(*, reset: bool = False) -> int:
    """Return the most memory that this process has had, since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(line) * 1024


def fault_of(data: bytes | bytearray) -> UndecodableBatchError:
    with pytest.raises(UndecodableBatchError) as caught:
        FetchedBatches(bytes(data)).next_batch()
    return caught.value


def values(data: bytes | bytearray) -> list[bytes | None]:
    batches = FetchedBatches(bytes(data))
    found: list[bytes | None] = []
    while batches.has_next():
        found += [record.value for record in batches.next_batch()]
    return found


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_compression_is_decoded(codec: int) -> None:
    sent = [os.urandom(50) * 50 for _ in range(20)]
    assert values(batch(*sent, codec=codec)) == sent


def test_javas_snappy_is_decoded_with_several_blocks() -> None:
    sent = [os.urandom(100_000)]
    assert values(batch(*sent, codec=SNAPPY)) == sent


@pytest.mark.parametrize(
    ("fault", "codec"),
    [(fault, codec) for fault in FAULTS for codec in (0, ZSTD) if (fault, codec) != ("payload", 0)],
)
def test_a_broken_batch_is_told_with_its_extent(fault: str, codec: int) -> None:
    bad = at_offset(broken(fault, codec=codec), BASE)
    error = fault_of(bad + at_offset(batch(b"next"), BASE + 3))
    assert error.fault
    assert error.extent(BASE, BASE + 10) == (BASE, BASE + 3)
    assert error.extent(BASE + 1, BASE + 10)[1] == BASE + 3


@pytest.mark.parametrize(
    ("last_delta", "following", "extent"),
    [
        (2, None, (BASE, BASE + 3)),
        (2, BASE + 3, (BASE, BASE + 3)),
        # A header that reaches beyond the next batch, or the end of the log, or says nothing.
        (500, BASE + 3, (BASE, BASE + 3)),
        (500, None, (BASE, BASE + 1)),
        (-500, BASE + 3, (BASE, BASE + 3)),
        (-500, None, (BASE, BASE + 1)),
        # What follows is no more to be trusted.
        (2, -7, (BASE, BASE + 3)),
        (-500, 10**15, (BASE, BASE + 1)),
    ],
)
def test_the_extent_of_a_broken_header(
    last_delta: int, following: int | None, extent: tuple[int, int]
) -> None:
    error = UndecodableBatchError("fault", Header(BASE, last_delta, 0, 3), following)
    assert error.extent(BASE, BASE + 100) == extent


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**40),
    st.integers(1, 1000),
)
def test_whatever_a_header_says_reading_goes_on_within_the_log(
    base: int, last_delta: int, following: int | None, position: int, left: int
) -> None:
    error = UndecodableBatchError("fault", Header(base, last_delta, 0, 1), following)
    first, behind = error.extent(position, position + left)
    assert 0 <= first < behind
    assert position < behind <= position + left


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_batches_or_undecodable(noise: bytes, at: int) -> None:
    data = batch(b"value" * 10, b"other", codec=LZ4)
    data[at : at + len(noise)] = noise
    for read in (bytes(data), bytes(sealed(data)) if len(data) > 61 else noise):
        batches = FetchedBatches(read)
        # Nothing else is raised.
        with contextlib.suppress(UndecodableBatchError):
            while batches.has_next():
                list(batches.next_batch())


def test_a_batch_that_is_cut_off_is_left_for_the_next_fetch_unless_it_is_the_first() -> None:
    whole, cut = batch(b"first"), at_offset(batch(b"second"), 1)[:-1]
    assert values(bytes(whole + cut)) == [b"first"]
    assert "length" in fault_of(cut).fault
    assert not FetchedBatches(b"").has_next()


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_unpacks_to_much_more_takes_no_such_memory(codec: int) -> None:
    data = bomb(codec, 4 * MOST_BYTES)
    before = peak_bytes(reset=True)
    assert fault_of(data).fault
    assert peak_bytes() - before < 2 * MOST_BYTES


def test_a_snappy_length_alone_reserves_nothing() -> None:
    assert fault_of(packed(SNAPPY, b"\xff\xff\xff\xff\x0f" + bytes(20))).fault


def test_a_negative_length_of_a_snappy_block_is_not_read_for_ever() -> None:
    java = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"
    assert "length" in fault_of(packed(SNAPPY, java + b"\xff\xff\xff\xfc" * 4)).fault


def test_more_records_than_a_message_needs_are_refused() -> None:
    too_many = batch(*[b""] * (MOST_RECORDS + 1), codec=ZSTD)
    assert str(MOST_RECORDS + 1) in fault_of(too_many).fault


def test_what_is_fetched_at_once_is_unpacked_in_portions() -> None:
    one = bytes(batch(bytes(MOST_BYTES // 2 - 100), codec=ZSTD))
    sent: Sequence[bytes | None] = values(one * 5)
    assert len(sent) < 5
