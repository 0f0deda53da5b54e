"""What a token says holds within its times, with the leeway."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.claims import LEEWAY_SECONDS, Claims, TokenError, TokenFault, read_claims

NOW = 1_800_000_000.0
times = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def read(**claims: object) -> Claims:
    return read_claims(orjson.dumps({"sub": "a", "aud": "us", **claims}), {"us"}, NOW)


@given(times, times | st.none())
def test_a_token_holds_from_its_beginning_to_its_end(end: float, begin: float | None) -> None:
    claims: dict[str, Any] = {"exp": end} if begin is None else {"exp": end, "nbf": begin}
    first = -math.inf if begin is None else float(begin) - LEEWAY_SECONDS
    if first <= NOW < float(end) + LEEWAY_SECONDS:
        assert read(**claims) == Claims("a", float(end) + LEEWAY_SECONDS)
    else:
        with pytest.raises(TokenError) as caught:
            read(**claims)
        assert caught.value.fault in {TokenFault.EXPIRED, TokenFault.NOT_YET_VALID}


@given(st.binary(max_size=50))
def test_whatever_is_signed_is_read_or_refused(payload: bytes) -> None:
    with pytest.raises(TokenError):
        read_claims(payload, {"us"}, NOW)


@given(st.sampled_from(list(TokenFault)))
def test_every_fault_has_a_text_of_its_own(fault: TokenFault) -> None:
    assert {one for one in TokenFault if TokenError(one).detail == TokenError(fault).detail} == {
        fault
    }
