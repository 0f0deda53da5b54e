"""Compressed bodies: whole or not at all, and never larger than they may be."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.unpacking import NotWholeError, Unpacker

PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "bare": ("deflate", lambda body: zlib.compress(body, wbits=-15)),
}
FORMS = pytest.mark.parametrize("form", PACKED)
LARGE = 10**6


def unpacked(encoding: str, parts: Sequence[bytes]) -> bytes:
    unpacker = Unpacker(encoding)
    body = b"".join(unpacker.feed(part, LARGE) for part in parts)
    unpacker.end()
    return body


def cut(packed: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted({place % len(packed) for place in places} - {0}), len(packed)]
    return [packed[a:b] for a, b in pairwise(bounds)]


@given(form=st.sampled_from([*PACKED]), body=st.binary(), places=st.lists(st.integers(0, 500)))
def test_a_body_is_the_same_however_it_arrives(form: str, body: bytes, places: list[int]) -> None:
    encoding, pack = PACKED[form]
    assert unpacked(encoding, cut(pack(body), places)) == body


@given(form=st.sampled_from([*PACKED]), body=st.binary(), keep=st.integers(0, 1000))
def test_what_breaks_off_is_refused(form: str, body: bytes, keep: int) -> None:
    encoding, pack = PACKED[form]
    packed = pack(body)
    kept = packed[: keep % len(packed)]
    with pytest.raises(NotWholeError):
        unpacked(encoding, [kept] if kept else [])


@FORMS
@pytest.mark.parametrize("more", [b"x", b"\0", gzip.compress(b"more", mtime=0)])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_follows_is_refused(form: str, more: bytes, *, at_once: bool) -> None:
    encoding, pack = PACKED[form]
    packed = pack(b"body")
    with pytest.raises(NotWholeError):
        unpacked(encoding, [packed + more] if at_once else [packed, more])


@pytest.mark.parametrize("place", [-1, -5])
def test_a_checksum_or_length_that_is_wrong_is_refused(place: int) -> None:
    packed = bytearray(gzip.compress(b"body" * 100))
    packed[place] ^= 1
    with pytest.raises(NotWholeError):
        unpacked("gzip", [bytes(packed)])


@FORMS
def test_no_more_is_unpacked_than_asked_for(form: str) -> None:
    encoding, pack = PACKED[form]
    assert len(Unpacker(encoding).feed(pack(b" " * LARGE), 1000)) == 1000
