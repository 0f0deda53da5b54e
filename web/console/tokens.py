"""What the console signs: who is signed in, and that a form came from a page of its own.

HMAC-SHA-256, with a key of its own for each purpose, derived from a secret of the service (RFC 5869
has more to it only where a secret is not random).
"""

import base64
import hmac
import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_DAY_SECONDS: Final = 86_400


def derived(secret: bytes, purpose: str) -> bytes:
    """Return the key of a purpose."""
    return hmac.digest(secret, purpose.encode(), sha256)


def signed(text: str, key: bytes) -> str:
    """Return a text with its signature, for a cookie."""
    return f"{_encoded(text.encode())}.{_mac(text, key)}"


def opened(value: str, keys: Iterable[bytes]) -> str | None:
    """Return what was signed with one of these keys, None if it was not."""
    encoded, _, mac = value.rpartition(".")
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True).decode()
    except ValueError:
        return None
    # All are compared, so that the time does not tell which one it is.
    same = [hmac.compare_digest(mac.encode(), _mac(text, key).encode()) for key in keys]
    return text if any(same) else None


def form_token(who: str, key: bytes) -> str:
    """Return what the forms on a page have; `who` is for whom the page is."""
    day = _today()
    return f"{day}.{_mac(f'{day} {who}', key)}"


def is_form_token(token: str, who: str, keys: Iterable[bytes]) -> bool:
    """Whether a token was made for a page of the same person, today or yesterday (UTC)."""
    day, _, mac = token.partition(".")
    if not day.isascii() or not day.isdigit() or len(day) > len(str(_today())):
        return False
    same = [hmac.compare_digest(mac.encode(), _mac(f"{day} {who}", key).encode()) for key in keys]
    return any(same) and 0 <= _today() - int(day) <= 1


def _today() -> int:
    return int(time.time()) // _DAY_SECONDS


def _mac(text: str, key: bytes) -> str:
    return _encoded(hmac.digest(key, text.encode(), sha256))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
