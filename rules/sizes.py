"""How large messages are, and may be (docs/contract.md, section 3)."""

from collections.abc import Sequence
from typing import Final

#: The largest message on any topic; dead letters may be larger by DEAD_LETTER_HEADERS_BYTES.
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024

#: More than the headers that a dead letter adds to its message.
DEAD_LETTER_HEADERS_BYTES: Final = 64 * 1024

#: What Kafka adds to a header: two lengths, of at most 8 KiB in these bytes.
_HEADER_BYTES: Final = 4

Headers = Sequence[tuple[str, bytes]]


def size_of(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return the bytes of a message; its frame has less than 200 more."""
    return len(key or b"") + len(value or b"") + size_of_headers(headers)


def size_of_headers(headers: Headers) -> int:
    """Return the bytes of headers."""
    return sum(len(name.encode()) + len(value) + _HEADER_BYTES for name, value in headers)
