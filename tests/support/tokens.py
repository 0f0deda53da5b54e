"""Tokens as a gateway makes them, and the keys that it makes them with."""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE: Final = "class-management"
HOUR: Final = 3600

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes


@dataclass(frozen=True)
class Signer:
    """A key of the gateway."""

    algorithm: str
    key: PrivateKey
    kid: str | None = None

    def named(self, kid: str) -> "Signer":
        """Return the same key with a name, which its tokens have, too."""
        return replace(self, kid=kid)

    def token(
        self, user: str, headers: Mapping[str, Any] | None = None, /, **claims: object
    ) -> str:
        """Return a token of a user; claims that are given replace the usual ones, None: none."""
        all_claims = {"sub": user, "aud": AUDIENCE, "exp": int(time.time()) + HOUR} | claims
        payload = {name: value for name, value in all_claims.items() if value is not None}
        return self.signed(orjson.dumps(payload), headers)

    def signed(self, payload: bytes, headers: Mapping[str, Any] | None = None) -> str:
        """Return any content, signed."""
        named = {"kid": self.kid} if self.kid else {}
        given = {"alg": self.algorithm, "typ": "JWT", **named, **(headers or {})}
        content = f"{encoded(orjson.dumps(given))}.{encoded(payload)}"
        how = jwt.get_algorithm_by_name(self.algorithm)
        return f"{content}.{encoded(how.sign(content.encode(), how.prepare_key(self.key)))}"

    def bearer(self, user: str, **claims: object) -> dict[str, str]:
        """Return the header with a token of a user."""
        return {"Authorization": f"Bearer {self.token(user, None, **claims)}"}

    @property
    def pem(self) -> str:
        """The public key."""
        assert not isinstance(self.key, bytes)
        written = self.key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return written.decode()

    @property
    def private_pem(self) -> str:
        """What the gateway keeps to itself."""
        assert not isinstance(self.key, bytes)
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, or the secret, as a JWKS has it."""
        named = {"kid": self.kid} if self.kid else {}
        return {**_jwk(self.key), **named}


def _jwk(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, bytes):
        return HMACAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)


def encoded(content: bytes) -> str:
    """Return Base64 as tokens have it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def jwks(*signers: Signer) -> bytes:
    """Return a JWKS with the public keys."""
    return orjson.dumps({"keys": [signer.jwk for signer in signers]})


@cache
def rsa_signer(number: int = 0, bits: int = 2048) -> Signer:
    """Return an RSA key, for the same number always the same."""
    del number
    return Signer("RS256", rsa.generate_private_key(65537, bits))


@cache
def ec_signer(number: int = 0) -> Signer:
    """Return a key on P-256, for the same number always the same."""
    del number
    return Signer("ES256", ec.generate_private_key(ec.SECP256R1()))


@cache
def ed_signer(number: int = 0) -> Signer:
    """Return an Ed25519 key, for the same number always the same."""
    del number
    return Signer("EdDSA", ed25519.Ed25519PrivateKey.generate())


def secret_signer(number: int = 0) -> Signer:
    """Return a key of HS256, for the same number always the same."""
    return Signer("HS256", f"en hemlighet som är lång nog för HS256: {number}".encode())
