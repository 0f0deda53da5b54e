"""Who gets compressed answers, and what happens while a large one is compressed."""

import asyncio
import gzip

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from store import pace
from web.compression import LEAST_BYTES, compress, is_to_compress, takes_gzip

WEIGHTS = st.sampled_from(["0", "0.0", "0.000", "0.001", "0.5", "1", "1.000"])


def takes(*values: str) -> bool:
    return takes_gzip(CIMultiDict([("Accept-Encoding", value) for value in values]))


@pytest.mark.parametrize(
    "given",
    [
        "gzip",
        "GZip",
        "x-gzip",
        "gzip, deflate, br, zstd",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "gzip ; q=0.5",
        "gzip;Q=0.5",
        "gzip;q=1, identity;q=0.5",
        "identity;q=0.5, *;q=0.5",
        "*",
        "deflate, *;q=0.3",
        "identity;q=0, gzip;q=0.001",
        ",gzip,",
    ],
)
def test_who_takes_gzip_gets_it(given: str) -> None:
    assert takes(given)
    assert takes("deflate", given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "identity",
        "br",
        "gzip;q=0",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "*;q=0",
        "identity, gzip;q=0.5",
        "gzip;q=0.5, *",
        "gzipped",
        "gzip;q=x",
        "gzip;q=nan",
        "gzip;q=-1",
        "gzip;q=2",
        "gzip;level=1",
        "gzip;",
    ],
)
def test_who_does_not_or_would_rather_not_gets_it_as_it_is(given: str) -> None:
    if given == "gzip;":  # a parameter that is missing is none
        assert takes(given)
    else:
        assert not takes(given)


def test_who_says_nothing_gets_it_as_it_is() -> None:
    assert not takes()


@given(gzip_weight=WEIGHTS, identity=WEIGHTS)
def test_the_larger_weight_counts(gzip_weight: str, identity: str) -> None:
    expected = float(gzip_weight) > 0 and float(gzip_weight) >= float(identity)
    assert takes(f"gzip;q={gzip_weight}, identity;q={identity}") == expected


@given(st.text(st.characters(codec="latin-1"), max_size=40))
def test_nothing_that_is_sent_does_harm(text: str) -> None:
    takes(text)


async def compressed(response: web.Response) -> web.Response:
    request = make_mocked_request("GET", "/", headers={"Accept-Encoding": "gzip"})
    if is_to_compress(response, request):
        await compress(response)
    return response


@pytest.mark.parametrize("size", [0, 1, LEAST_BYTES - 1, LEAST_BYTES, 65_536, 65_537, 1_000_000])
async def test_what_is_large_enough_is_compressed_whole(size: int) -> None:
    body = b"x" * size
    response = await compressed(web.Response(body=body, headers={"ETag": '"a"'}))
    assert isinstance(response.body, bytes)
    if size < LEAST_BYTES:
        assert (response.body, response.headers["ETag"]) == (body, '"a"')
        assert not {"Content-Encoding", "Vary"} & response.headers.keys()
    else:
        assert gzip.decompress(response.body) == body
        assert response.headers["ETag"] == '"a-gzip"'
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Vary"] == "Accept-Encoding"


async def test_what_is_compressed_is_not_compressed_again() -> None:
    body = b"x" * 2000
    first = await compressed(web.Response(body=body, headers={"Vary": "Accept"}))
    packed = first.body
    assert (await compressed(first)).body == packed
    assert first.headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(("status", "expected"), [(204, None), (304, "Accept-Encoding")])
async def test_what_has_no_body_has_nothing_to_compress(status: int, expected: str | None) -> None:
    response = await compressed(web.Response(status=status))
    assert (response.body, response.headers.get("Vary")) == (None, expected)


async def test_others_run_while_a_large_answer_is_compressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "BREATH_SECONDS", -1.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    await compressed(web.Response(body=b"x" * 1_000_000))
    assert turns >= 10
    running.cancel()
