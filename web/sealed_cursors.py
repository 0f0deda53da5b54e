"""Cursors of lists of people: the position is sealed, since names do not belong into a URL.

A name cannot be left out: the student whom a page ended with may be renamed or gone when the next
one is asked for. What is sealed cannot be read, altered or used by another caller.

Sealed as SIV does it (RFC 5297), with keyed BLAKE2b for its ciphers: the tag of the plain text is
where the key stream begins. The same position always has the same cursor.
"""

import base64
import hmac
import re
from datetime import datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

import orjson
from multidict import MultiMapping

from rules.events.envelopes import to_json
from rules.search import Position
from web.parameters import NOT_GIVEN, refused, single

_TAG_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
#: More than two names of the greatest length take.
_FORM: Final = re.compile(r"[-_A-Za-z0-9]{22,8000}")


def write_position(key: bytes, owner_id: str, position: Position) -> str:
    """Return the cursor of a position in a list of the owner's."""
    plain = to_json([*position.key, position.since, position.again])
    tag = _tag(key, owner_id, plain)
    sealed = tag + _mixed(key, tag, plain)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read_position(key: bytes, owner_id: str, query: MultiMapping[str]) -> Position | None:
    """Return the position in `cursor`, None for the beginning. Raises ValidationFailedError."""
    text = single(query, "cursor")
    if not text:
        return None
    plain = _opened(key, owner_id, text)
    if plain is None:
        raise refused("cursor", NOT_GIVEN)
    last_name, first_name, student_id, since, again = orjson.loads(plain)
    ended = last_name, first_name, UUID(student_id)
    return Position(ended, datetime.fromisoformat(since), again)


def _opened(key: bytes, owner_id: str, text: str) -> bytes | None:
    """Return what was sealed, None if this was not."""
    if not _FORM.fullmatch(text) or len(text) % 4 == 1:
        return None
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    tag, mixed = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
    plain = _mixed(key, tag, mixed)
    return plain if hmac.compare_digest(tag, _tag(key, owner_id, plain)) else None


def _tag(key: bytes, owner_id: str, plain: bytes) -> bytes:
    owner = blake2b(
        owner_id.encode()
    ).digest()  # of one length, so that the two do not run together
    return blake2b(owner + plain, key=key, person=b"position", digest_size=_TAG_BYTES).digest()


def _mixed(key: bytes, tag: bytes, text: bytes) -> bytes:
    blocks = range(-(-len(text) // _BLOCK_BYTES))
    stream = b"".join(
        blake2b(block.to_bytes(8), key=key, salt=tag, person=b"stream").digest() for block in blocks
    )
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))
