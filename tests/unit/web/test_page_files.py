"""The files of the pages, as they lie and unpacked."""

import gzip
import threading

import pytest

from web import page_files
from web.page_files import DOCS


@pytest.mark.parametrize("name", DOCS)
async def test_unpacked_it_is_what_is_packed(name: str) -> None:
    assert await DOCS[name].unpacked() == gzip.decompress(DOCS[name].packed)


async def test_a_file_is_unpacked_once_and_not_on_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page_files._unpacked.cache_clear()
    threads = []

    def decompress(data: bytes) -> bytes:
        threads.append(threading.get_ident())
        return data

    monkeypatch.setattr(gzip, "decompress", decompress)
    try:
        assert await DOCS["redoc.js"].unpacked() == await DOCS["redoc.js"].unpacked()
    finally:
        page_files._unpacked.cache_clear()
    assert len(threads) == 1
    assert threads != [threading.get_ident()]
