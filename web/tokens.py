"""Whether a caller's token is good (docs/contract.md, section 2, "Who is calling")."""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from jwt import PyJWS
from jwt.exceptions import InvalidSignatureError, PyJWTError

from telemetry.metrics import Metrics
from web.claims import Claims, TokenError, TokenFault, read_claims
from web.errors import NoTokenKeysError
from web.key_ring import KeyRing
from web.token_keys import TokenKey

#: What is longer is not even decoded.
MAX_TOKEN: Final = 6 * 1024
#: Tokens that are remembered: a few hundred bytes each.
MAX_REMEMBERED: Final = 10_000

_BEARER: Final = re.compile(r"bearer(?: +(.*))?", re.IGNORECASE | re.DOTALL)
#: The compact form of JWS. An encrypted token has five parts.
_SIGNED: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

#: The token may still become good, with keys that are not here yet.
_RENEWABLE: Final = frozenset({TokenFault.UNKNOWN_KEY, TokenFault.SIGNATURE})


@dataclass(frozen=True, slots=True)
class _Good:
    """A token that was good: what it says, and the digest of the key that signed it."""

    claims: Claims
    key: bytes


@dataclass(frozen=True, slots=True)
class _Named:
    """What a token's header names."""

    kid: str | None
    algorithm: str


class TokenCheck:
    """Checks tokens, each with its signature once.

    A good one is remembered by its header's digest until it expires or its key is gone. `now`
    returns the seconds since 1970.
    """

    def __init__(
        self,
        ring: KeyRing,
        audiences: Collection[str],
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._audiences = frozenset(audiences)
        self._refused = metrics.tokens_refused
        self._now = now
        self._jws = PyJWS()
        self._remembered: dict[bytes, _Good] = {}

    async def check(self, authorization: str, user_id: str) -> None:
        """Raise TokenError unless the header has a good token of this user.

        Raises NoTokenKeysError as long as there are no keys to tell.
        """
        try:
            await self._check(authorization, user_id)
        except TokenError as error:
            self._refused.labels(error.fault.value).inc()
            raise

    async def _check(self, authorization: str, user_id: str) -> None:
        # Of the whole header: its form has been looked at where it is remembered.
        digest = hashlib.sha256(authorization.encode("utf-8", "surrogateescape")).digest()
        good = self._recall(digest) or await self._verified(_token_of(authorization), digest)
        if good.claims.subject != user_id:
            raise TokenError(TokenFault.SUBJECT)

    def _recall(self, digest: bytes) -> _Good | None:
        good = self._remembered.pop(digest, None)
        if good is None or self._now() >= good.claims.expires_at or not self._ring.has(good.key):
            return None
        self._remembered[digest] = good  # at the end: it was the last to be of use
        return good

    async def _verified(self, token: str, digest: bytes) -> _Good:
        named = _named_by(token)
        if not self._ring.keys:
            await self._ring.renew()
        if not self._ring.keys:
            raise NoTokenKeysError
        try:
            payload, key = self._signed(token, named)
        except TokenError as error:
            if error.fault not in _RENEWABLE or not await self._ring.renew():
                raise
            payload, key = self._signed(token, named)
        good = _Good(read_claims(payload, self._audiences, self._now()), key.digest)
        self._remember(digest, good)
        return good

    def _signed(self, token: str, named: _Named) -> tuple[bytes, TokenKey]:
        """Return what a token says, and the key that signed it. Raises TokenError."""
        keys = [key for key in self._ring.keys if key.is_named(named.kid)]
        if not keys:
            raise TokenError(TokenFault.UNKNOWN_KEY)
        fitting = [key for key in keys if key.algorithm == named.algorithm]
        if not fitting:
            raise TokenError(TokenFault.ALGORITHM)
        for payload, key in self._signed_by(token, fitting):
            return payload, key
        raise TokenError(TokenFault.SIGNATURE)

    def _signed_by(
        self, token: str, keys: Collection[TokenKey]
    ) -> Iterator[tuple[bytes, TokenKey]]:
        for key in keys:
            try:
                # With the algorithm of the key, not the token's.
                found = self._jws.decode(token, key.material, algorithms=[key.algorithm])
            except InvalidSignatureError:
                continue
            except PyJWTError:
                raise TokenError(TokenFault.MALFORMED) from None
            yield found, key

    def _remember(self, digest: bytes, good: _Good) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = good


def _token_of(authorization: str) -> str:
    found = _BEARER.fullmatch(authorization)
    if found is None or not found[1]:
        raise TokenError(TokenFault.MISSING)
    token: str = found[1]
    if len(token) > MAX_TOKEN or not _SIGNED.fullmatch(token):
        raise TokenError(TokenFault.MALFORMED)
    return token


def _named_by(token: str) -> _Named:
    """Return what the header names. Keys in it, and where to get some, are not looked at."""
    header = _header_of(token)
    kid, algorithm = header.get("kid"), header.get("alg")
    # Nothing that may be critical is known here.
    if not isinstance(kid, str | None) or not isinstance(algorithm, str) or "crit" in header:
        raise TokenError(TokenFault.MALFORMED)
    return _Named(kid, algorithm)


def _header_of(token: str) -> Mapping[str, Any]:
    part = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:  # what both raise is one
        raise TokenError(TokenFault.MALFORMED) from None
    if not isinstance(header, dict):
        raise TokenError(TokenFault.MALFORMED)
    return header
