"""Which keys tokens may be verified with."""

import warnings
from typing import Any, Final

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tokens import ec_signer, ed_signer, jwks, rsa_signer, secret_signer
from web.token_keys import (
    MAX_KEYS,
    FoundKeys,
    UnfitKeyError,
    keys_of_jwks,
    keys_of_pem,
    keys_of_secret,
)

PUBLIC: Final = (rsa_signer(), ec_signer(), ed_signer())
RSA, CURVE, EDWARDS = (signer.jwk for signer in PUBLIC)
SECRET: Final = secret_signer().jwk

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def read(*members: object, with_secrets: bool = False) -> FoundKeys:
    return keys_of_jwks(orjson.dumps({"keys": members}), with_secrets=with_secrets)


def pem_of(key: Any) -> str:  # noqa: ANN401  # of any kind
    written: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return written.decode()


@pytest.mark.parametrize("signer", PUBLIC, ids=lambda one: one.algorithm)
def test_the_algorithm_follows_from_the_key(signer: Any) -> None:  # noqa: ANN401
    [of_pem] = keys_of_pem(signer.pem)
    [of_jwks] = keys_of_jwks(jwks(signer), with_secrets=False).keys
    assert of_pem.algorithm == of_jwks.algorithm == signer.algorithm
    assert of_pem.digest == of_jwks.digest
    named = signer.named("1")
    [other] = keys_of_jwks(jwks(named), with_secrets=False).keys
    assert (other.kid, other.digest == of_pem.digest) == ("1", False)


@pytest.mark.parametrize("form", ["{}", "\n\n  {}\n \n", "{}{}"])
def test_a_pem_may_have_blanks_around_it_and_several_keys(form: str) -> None:
    pem = rsa_signer().pem
    for written in (pem, pem.replace("\n", "\r\n"), pem.replace("\n", "\\n")):
        text = form.format(written, written)
        assert {key.algorithm for key in keys_of_pem(text)} == {"RS256"}


def test_a_pem_of_the_older_form_is_one() -> None:
    key = rsa_signer().key
    assert isinstance(key, rsa.RSAPrivateKey)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    assert "RSA PUBLIC KEY" in pem
    assert keys_of_pem(pem) == keys_of_pem(rsa_signer().pem)


def bad_pems() -> dict[str, str]:
    good = rsa_signer().pem
    lines = good.splitlines()
    return {
        "private": rsa_signer().private_pem,
        "private, beside a public one": good + ec_signer().private_pem,
        "without its end": "\n".join(lines[:-1]),
        "cut": "\n".join([*lines[:2], lines[-1]]),
        "other ends": good.replace("END PUBLIC KEY", "END RSA PUBLIC KEY"),
        "something behind": f"{good}x",
        "a certificate": good.replace("PUBLIC KEY", "CERTIFICATE"),
        "no Base64": "\n".join([lines[0], "åäö", lines[-1]]),
        "short RSA": rsa_signer(0, 1024).pem,
        "another curve": pem_of(ec.generate_private_key(ec.SECP384R1()).public_key()),
        "another Edwards curve": pem_of(ed448.Ed448PrivateKey.generate().public_key()),
        "not for signatures": pem_of(x25519.X25519PrivateKey.generate().public_key()),
        "too many": ec_signer().pem * (MAX_KEYS + 1),
    }


@pytest.mark.parametrize("kind", bad_pems())
def test_what_is_no_fit_public_key_is_refused_without_quoting_it(kind: str) -> None:
    pem = bad_pems()[kind]
    with pytest.raises(UnfitKeyError) as caught:
        keys_of_pem(pem)
    text = str(caught.value)
    assert text.isprintable()
    assert ("private" in text) == kind.startswith("private")
    assert not any(line in text for line in pem.splitlines() if len(line) > 20)


@pytest.mark.parametrize("size", [0, 1, 31])
def test_a_short_secret_is_refused(size: int) -> None:
    with pytest.raises(UnfitKeyError):
        keys_of_secret("x" * size)
    assert [key.algorithm for key in keys_of_secret("x" * 32)] == ["HS256"]
    assert [key.algorithm for key in keys_of_secret("å" * 16)] == ["HS256"]


@pytest.mark.parametrize(
    "jwk",
    [
        {**RSA, "use": "enc"},
        {**RSA, "use": None},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": []},
        {**RSA, "key_ops": "verify"},
        {**RSA, "alg": "RS512"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "none"},
        {**RSA, "alg": 1},
        {**RSA, "kty": "oct"},
        {**RSA, "kty": ["RSA"]},
        {**RSA, "kid": 1},
        {**RSA, "e": "AQ"},
        {**RSA, "n": "AQAB"},
        {**RSA, "n": "!"},
        {**RSA, "n": None},
        {**RSA, "d": "AQAB"},
        {name: value for name, value in RSA.items() if name != "n"},
        {**CURVE, "crv": "P-384"},
        {**CURVE, "crv": "secp256k1"},
        {**CURVE, "x": CURVE["y"]},  # not on the curve
        {**EDWARDS, "crv": "Ed448"},
        {**EDWARDS, "crv": "X25519"},
        {**EDWARDS, "x": "AA"},
        SECRET,
        {},
        [],
        None,
        "RSA",
    ],
)
def test_a_key_that_does_not_fit_is_left_out_and_the_others_are_taken(jwk: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(CURVE, jwk)
    assert [key.algorithm for key in found.keys] == ["ES256"]
    assert [reason.split()[:2] for reason in found.left_out] == [["key", "1"]]
    with pytest.raises(UnfitKeyError, match="no key that can be used"):
        read(jwk)


def test_only_where_nobody_else_reads_it_has_a_jwks_secrets() -> None:
    assert [key.algorithm for key in read(SECRET, with_secrets=True).keys] == ["HS256"]
    short = {"kty": "oct", "k": "AAAA"}
    assert read(SECRET, short, with_secrets=True).left_out == (
        "key 1 is a secret of fewer than 32 bytes",
    )


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"{", b"[]", b"null", b"1", b'"keys"', b'{"keys": null}', b'{"keys": {}}', b"\xff"),
        *(b'{"keys": []}', b'{"Keys": []}', b"[" * 100_000, b"<html></html>"),
    ],
)
def test_what_is_no_jwks_is_refused(document: bytes) -> None:
    with pytest.raises(UnfitKeyError):
        keys_of_jwks(document, with_secrets=True)


def test_a_jwks_has_a_bounded_number_of_keys() -> None:
    assert len(read(*[CURVE] * MAX_KEYS).keys) == MAX_KEYS
    with pytest.raises(UnfitKeyError):
        read(*[CURVE] * (MAX_KEYS + 1))


@given(
    st.sampled_from([RSA, CURVE, EDWARDS, SECRET]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "n", "e", "x", "y", "d", "k", "use", "alg", "kid"])
        | st.sampled_from(["key_ops", "oth", "p", "q", "x5c"]),
        json_values,
        max_size=4,
    ),
)
def test_whatever_a_jwks_holds_it_is_read_or_refused(
    jwk: dict[str, Any], changes: dict[str, object]
) -> None:
    try:
        found = read({**jwk, **changes}, with_secrets=True)
    except UnfitKeyError:
        return
    assert [key.algorithm for key in found.keys] in (
        [a] for a in ("RS256", "ES256", "EdDSA", "HS256")
    )
