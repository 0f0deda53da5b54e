"""The keys that callers' tokens are verified with: of a PEM, a secret or a JWKS (RFC 7517).

Which algorithm a token may name follows from the key alone, never from the token: a public key is
no secret of HS256.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from jwt import PyJWK
from jwt.exceptions import PyJWTError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

#: RFC 7518, sections 3.2 and 3.3; beyond the most a signature takes long to verify.
MIN_SECRET_BYTES: Final = 32
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
#: A token that names no key is tried with each.
MAX_KEYS: Final = 32

HS256: Final = "HS256"
#: What a JWK of a kind, and of a curve where there is one, is for.
_ALGORITHMS: Final[Mapping[tuple[object, object], str]] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("oct", None): HS256,
}
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class UnfitKeyError(Exception):
    """A key, or all of several, cannot be used; the message says why, without the key."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key; `kid` is its name, None if it has none.

    `digest` is that of all the others: the same key in another document is the same.
    """

    kid: str | None
    algorithm: str
    material: PublicKey | bytes
    digest: bytes

    def is_named(self, kid: str | None) -> bool:
        """Whether a token that names this key, or none, may be signed by it."""
        return kid is None or self.kid is None or self.kid == kid


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The keys of a JWKS, and why others of it are left out."""

    keys: tuple[TokenKey, ...]
    left_out: tuple[str, ...]


def keys_of_pem(text: str) -> tuple[TokenKey, ...]:
    """Return the public keys of a PEM. Raises UnfitKeyError.

    There may be several, the old and the new one. Lines may end in a backslash and an n, as files
    of environment variables have it.
    """
    pem = text.replace("\\n", "\n")
    if _BLOCK.sub("", pem).strip():
        raise UnfitKeyError("is no whole PEM")
    keys = tuple(_of_block(found[1], found[0]) for found in _BLOCK.finditer(pem))
    if len(keys) > MAX_KEYS:
        raise UnfitKeyError(f"has more than {MAX_KEYS} keys")
    return keys


def _of_block(label: str, block: str) -> TokenKey:
    if "PRIVATE" in label:
        raise UnfitKeyError("is a private key, which belongs to the gateway alone: give the public")
    if not label.endswith("PUBLIC KEY"):
        raise UnfitKeyError("is no public key")
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnfitKeyError("is a public key that cannot be read") from None
    return _of_public(None, key)


def keys_of_secret(secret: str) -> tuple[TokenKey, ...]:
    """Return the key that a secret is. Raises UnfitKeyError."""
    return (_of_secret(None, secret.encode()),)


def keys_of_jwks(document: bytes, *, with_secrets: bool) -> FoundKeys:
    """Return the keys of a JWKS, which may have secrets where nobody else can read it.

    Raises UnfitKeyError where it is none, or no key in it can be used.
    """
    try:
        members = orjson.loads(document)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise UnfitKeyError("no JWKS") from None
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise UnfitKeyError(f"no JWKS, or one of more than {MAX_KEYS} keys")
    left_out: list[str] = []
    keys = tuple(_usable(members, left_out, with_secrets=with_secrets))
    if not keys:
        raise UnfitKeyError(f"no key that can be used: {', '.join(left_out) or 'it is empty'}")
    return FoundKeys(keys, tuple(left_out))


def _usable(
    members: Sequence[object], left_out: list[str], *, with_secrets: bool
) -> Iterator[TokenKey]:
    for place, member in enumerate(members):
        try:
            yield _of_jwk(member, with_secrets=with_secrets)
        except UnfitKeyError as error:
            left_out.append(f"key {place} {error}")


def _of_jwk(jwk: object, *, with_secrets: bool) -> TokenKey:
    if not isinstance(jwk, dict):
        raise UnfitKeyError("is no object")
    algorithm = _algorithm(jwk)
    _check_purpose(jwk, algorithm)
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        raise UnfitKeyError("has a kid that is no text")
    if algorithm == HS256 and not with_secrets:
        raise UnfitKeyError("is a secret that others can read")
    if algorithm != HS256 and "d" in jwk:
        raise UnfitKeyError("is private")
    try:
        material = PyJWK(jwk, algorithm).key
    except (PyJWTError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        raise UnfitKeyError("cannot be read") from None
    return _of_secret(kid, material) if algorithm == HS256 else _of_public(kid, material)


def _algorithm(jwk: Mapping[str, Any]) -> str:
    kind = jwk.get("kty"), jwk.get("crv")
    if not all(isinstance(one, str | None) for one in kind) or kind not in _ALGORITHMS:
        raise UnfitKeyError("is of a kind that is not supported")
    return _ALGORITHMS[kind]


def _check_purpose(jwk: Mapping[str, Any], algorithm: str) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list):
        raise UnfitKeyError("is not for signatures")
    if "verify" not in operations:
        raise UnfitKeyError("is not for signatures")
    if jwk.get("alg", algorithm) != algorithm:
        raise UnfitKeyError(f"is for another algorithm than {algorithm}")


def _of_secret(kid: str | None, secret: bytes) -> TokenKey:
    if len(secret) < MIN_SECRET_BYTES:
        raise UnfitKeyError(f"is a secret of fewer than {MIN_SECRET_BYTES} bytes")
    return TokenKey(kid, HS256, secret, _digest(kid, HS256, secret))


def _of_public(kid: str | None, key: object) -> TokenKey:
    algorithm = _algorithm_of(key)
    if not isinstance(key, PublicKey) or algorithm is None:
        raise UnfitKeyError("is of a kind that is not supported: RSA, P-256 and Ed25519 are")
    written = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TokenKey(kid, algorithm, key, _digest(kid, algorithm, written))


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, RSAPublicKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise UnfitKeyError(f"has {key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None


def _digest(kid: str | None, algorithm: str, written: bytes) -> bytes:
    return hashlib.sha256(repr((kid, algorithm, written)).encode()).digest()
