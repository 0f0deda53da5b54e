"""What the console signs: who is signed in, and that a form came from a page of its own.

HMAC-SHA-256, with a key of its own for each purpose, derived from a secret of the service (RFC 5869
has more to it only where a secret is not random).
"""

import base64
import hmac
import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_DAY_SECONDS: Final = 86_400
_MAC_BYTES: Final = sha256().digest_size


def derived(secret: bytes, purpose: str) -> bytes:
    """Return the key of a purpose."""
    return hmac.digest(secret, purpose.encode(), sha256)


def signed(text: str, key: bytes) -> str:
    """Return a text with its signature, for a cookie."""
    return f"{_encoded(text.encode())}.{_encoded(_digest(text, key))}"


def opened(value: str, keys: Iterable[bytes]) -> str | None:
    """Return what was signed with one of these keys, None if it was not."""
    encoded, _, mac = value.rpartition(".")
    try:
        text = (_decoded(encoded) or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if _is_mac(_decoded(mac) or b"", text, keys) else None


def form_token(who: str, key: bytes) -> str:
    """Return what the forms on a page have; `who` is for whom the page is.

    It is another text on each page: the length of a compressed page that also has what an attacker
    sent would tell it bit by bit (BREACH).
    """
    day = _today()
    pad = secrets.token_bytes(_MAC_BYTES)
    return f"{day}.{_encoded(pad + _mixed(pad, _digest(f'{day} {who}', key)))}"


def is_form_token(token: str, who: str, keys: Iterable[bytes]) -> bool:
    """Whether a token was made for a page of the same person, today or yesterday (UTC)."""
    day, _, padded = token.partition(".")
    if not day.isascii() or not day.isdigit() or len(day) > len(str(_today())):
        return False
    pad, mixed = _halves(_decoded(padded) or b"")
    is_mac = _is_mac(_mixed(pad, mixed), f"{day} {who}", keys)
    return is_mac and 0 <= _today() - int(day) <= 1


def _is_mac(mac: bytes, text: str, keys: Iterable[bytes]) -> bool:
    """Compare with all keys, so that the time does not tell which one it is."""
    same = [hmac.compare_digest(mac, _digest(text, key)) for key in keys]
    return any(same)


def _today() -> int:
    return int(time.time()) // _DAY_SECONDS


def _digest(text: str, key: bytes) -> bytes:
    return hmac.digest(key, text.encode(), sha256)


def _mixed(pad: bytes, data: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, data, strict=True))


def _halves(data: bytes) -> tuple[bytes, bytes]:
    """Return what a token was mixed with, and what that made; nothing if it is none."""
    is_whole = len(data) == 2 * _MAC_BYTES
    return (data[:_MAC_BYTES], data[_MAC_BYTES:]) if is_whole else (b"", b"")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes | None:
    """Return what was encoded, None if it cannot have been: a header may have any bytes."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        return None
