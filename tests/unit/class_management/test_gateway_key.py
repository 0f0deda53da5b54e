"""GATEWAY_JWT_KEY: a PEM, the address of a JWKS, or a secret; and whom tokens are for."""

import base64
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from class_management.settings import PREFIX, Settings, SettingsError, load_settings
from class_management.tokens import check_tokens, key_ring
from telemetry.metrics import Metrics
from tests.support.tokens import ec_signer, ed_signer, rsa_signer
from web.jwks import JwksFile, JwksServer

NAME: Final = f"{PREFIX}GATEWAY_JWT_KEY"
SECRET: Final = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"


def checked(monkeypatch: pytest.MonkeyPatch, value: str) -> Settings:
    monkeypatch.setenv(NAME, value)
    settings = load_settings()
    check_tokens(settings)
    return settings


def shown(value: object) -> str:
    """Return the name of a test's case: the same in each process, so without keys."""
    return "key" if isinstance(value, str) and len(value) > 30 else str(value)


def inside(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("value", "algorithms"),
    [
        (rsa_signer().pem, ["RS256"]),
        (ec_signer().pem.replace("\n", "\\n"), ["ES256"]),
        (f"\n{ed_signer().pem}{rsa_signer().pem}", ["EdDSA", "RS256"]),
        (SECRET, ["HS256"]),
        ("å" * 16, ["HS256"]),
        (base64.b64encode(bytes(range(32))).decode(), ["HS256"]),
        (base64.b64encode(b"\x30" + bytes(40)).decode(), ["HS256"]),
        ("/" * 32, ["HS256"]),
        ("s" * 300, ["HS256"]),  # longer than the name of a file may be
        ("s" * 10_000, ["HS256"]),
    ],
    ids=shown,
)
def test_a_key_is_told_by_its_form(
    monkeypatch: pytest.MonkeyPatch, value: str, algorithms: list[str]
) -> None:
    ring = key_ring(checked(monkeypatch, value), Metrics())
    assert ring is not None
    assert [key.algorithm for key in ring.keys] == algorithms
    assert (ring.is_renewed, ring.state) == (False, "ok")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("https://gateway.example/.well-known/jwks.json?v=1", JwksServer),
        ("http://gateway:8080/keys", JwksServer),
        ("file:///etc/keys/my%20jwks.json", JwksFile),
    ],
)
def test_a_jwks_is_read_later(monkeypatch: pytest.MonkeyPatch, value: str, kind: type) -> None:
    ring = key_ring(checked(monkeypatch, value), Metrics())
    assert ring is not None
    assert (ring.is_renewed, list(ring.keys), type(ring._source)) == (True, [], kind)


def test_the_path_of_a_file_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = key_ring(checked(monkeypatch, "file:///etc/my%20keys.json"), Metrics())
    assert ring is not None
    assert isinstance(ring._source, JwksFile)
    assert ring._source._path == Path("/etc/my keys.json")


def test_without_a_key_there_is_no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    check_tokens(load_settings())
    assert key_ring(load_settings(), Metrics()) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (rsa_signer().private_pem, "private key"),
        (rsa_signer(0, 1024).pem, "1024 bits"),
        (rsa_signer().pem.replace("PUBLIC KEY", "CERTIFICATE"), "no public key"),
        (rsa_signer().pem[:200], "no whole PEM"),
        (inside(rsa_signer().pem), "must be a PEM"),
        (inside(ec_signer().pem), "must be a PEM"),
        (inside(ed_signer().pem), "must be a PEM"),
        (inside(rsa_signer().private_pem), "must be a PEM"),
        (f"ssh-ed25519 {'A' * 68}", "must be a PEM"),
        ("s3cr3t", "not the 32 bytes"),
        (SECRET[:31], "not the 32 bytes"),
        ("x" * 31 + "\n", "visible characters"),
        (f"ftp://gateway.example/{SECRET}", "https://, http:// or file://"),
        (f"HTTPS://gateway.example/{SECRET}", "https://, http:// or file://"),
        (f"https:///{SECRET}", "https://host/path"),
        (f"https://gateway.example/{SECRET}#x", "https://host/path"),
        (f"https://gateway.example:99999/{SECRET}", "no URL"),
        (f"https://[gateway.example/{SECRET}", "no URL"),
        (f"http://gateway example/{SECRET}", "no URL"),
        (f"file://etc/{SECRET}", "file:///path"),
        (f'{{"keys": [{{"kty": "oct", "k": "{SECRET}"}}]}}', "read from where it lies"),
    ],
    ids=shown,
)
def test_a_key_that_cannot_be_meant_stops_the_start_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        checked(monkeypatch, value)
    line = str(caught.value)
    assert line.startswith(f"{NAME}: ")
    assert line.isprintable()
    assert said in line
    assert not any(part in line for part in (*value.splitlines(), SECRET) if len(part) > 10)


def test_a_path_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / ("jwks" * 8)
    path.touch()
    with pytest.raises(SettingsError, match="read from where it lies"):
        checked(monkeypatch, str(path))


def test_a_key_is_in_no_dump_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = checked(monkeypatch, SECRET)
    for dump in (str(settings), repr(settings), str(settings.model_dump())):
        assert SECRET not in dump
    assert SECRET not in settings.model_dump_json()


@given(st.binary(min_size=32, max_size=100))
def test_a_random_secret_is_one(content: bytes) -> None:
    # A sequence of ASN.1 is what keys are, and no chance.
    written = base64.b64encode(bytes([content[0] & 0x0F]) + content).decode()
    assert Settings.model_validate({"gateway_jwt_key": written}).gateway_jwt_key is not None


@pytest.mark.parametrize(
    ("given", "audiences"),
    [("", ("class-management",)), ("one", ("one",)), (" one , two ", ("one", "two"))],
)
def test_audiences_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, audiences: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"{PREFIX}GATEWAY_JWT_AUDIENCE", given)
    assert load_settings().gateway_jwt_audiences == audiences


@pytest.mark.parametrize("given", [",", "one,", ",one", "one,,two", "one, ,two"])
def test_no_audience_is_empty(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(f"{PREFIX}GATEWAY_JWT_AUDIENCE", given)
    with pytest.raises(SettingsError, match="has an audience that is empty"):
        load_settings()
