"""What a token says, and whether it holds (RFC 7519, section 4.1)."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import orjson

from rules.errors import AuthenticationRequiredError

#: How far the clocks of the gateway and of the service may be apart.
LEEWAY_SECONDS: Final = 30.0


class TokenFault(StrEnum):
    """Why a token is refused: also in metrics, so the list is short."""

    MISSING = "missing"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    AUDIENCE = "audience"
    SUBJECT = "subject"


_DETAILS: Final[Mapping[TokenFault, str]] = MappingProxyType(
    {
        TokenFault.MISSING: "The path needs a token: `Authorization: Bearer` and a signed JWT.",
        TokenFault.MALFORMED: "The token is no signed JWT with the claims that are needed.",
        TokenFault.ALGORITHM: "The token names another algorithm than its key is for.",
        TokenFault.UNKNOWN_KEY: "The token is signed with a key that is not known.",
        TokenFault.SIGNATURE: "The token's signature does not hold.",
        TokenFault.EXPIRED: "The token has expired, or does not say when it does.",
        TokenFault.NOT_YET_VALID: "The token is not valid yet.",
        TokenFault.AUDIENCE: "The token is not for this service.",
        TokenFault.SUBJECT: "The token is another user's than X-User-ID names.",
    }
)


class TokenError(AuthenticationRequiredError):
    """The path needs a token that holds."""

    def __init__(self, fault: TokenFault) -> None:
        """Say what is wrong, without anything of the token."""
        super().__init__(_DETAILS[fault])
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that holds; `expires_at` is in seconds since 1970, with the leeway."""

    subject: str
    expires_at: float


def read_claims(payload: bytes, audiences: Container[str], now: float) -> Claims:
    """Return what a token with a good signature says. Raises TokenError."""
    claims = _object(payload)
    expires_at = _instant(claims, "exp")
    if expires_at is None or now >= expires_at + LEEWAY_SECONDS:
        raise TokenError(TokenFault.EXPIRED)
    not_before = _instant(claims, "nbf")
    if not_before is not None and now < not_before - LEEWAY_SECONDS:
        raise TokenError(TokenFault.NOT_YET_VALID)
    if not _is_for(claims.get("aud"), audiences):
        raise TokenError(TokenFault.AUDIENCE)
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise TokenError(TokenFault.SUBJECT)
    return Claims(subject, expires_at + LEEWAY_SECONDS)


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise TokenError(TokenFault.MALFORMED) from None
    if not isinstance(claims, dict):
        raise TokenError(TokenFault.MALFORMED)
    return claims


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    # Python's True is a number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(TokenFault.MALFORMED)
    return float(value)


def _is_for(given: object, audiences: Container[str]) -> bool:
    named = given if isinstance(given, list) else [given]
    return any(isinstance(one, str) and one in audiences for one in named)
