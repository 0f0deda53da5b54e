"""Opaque, URL-safe cursors of lists: the position behind which a page begins.

A position is a tuple of the values that a list is ordered by, so that what is inserted meanwhile
neither repeats nor hides anything. Clients must not look into it: the first byte says how the rest
is written, and another version may write it otherwise.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from multidict import MultiMapping
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, TypeAdapter

from rules.events.envelopes import to_json
from web.parameters import NOT_GIVEN, refused, single

#: More than three of the longest texts take.
MAX_CURSOR: Final = 12_000
MAX_TEXT: Final = 600

_VERSION: Final = b"\x01"
_FORM: Final = re.compile(rf"[-_A-Za-z0-9]{{1,{MAX_CURSOR}}}")

PositionT = TypeVar("PositionT")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL")
    return text


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(at) from error


#: What a position may consist of, beside UUID and Literal.
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_storable)]
Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
#: PostgreSQL's bigint.
Number = Annotated[int, Field(ge=0, lt=2**63)]


def encode(position: Sequence[object]) -> str:
    """Return the cursor of a position."""
    packed = _VERSION + to_json([*position])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(query: MultiMapping[str], form: TypeAdapter[PositionT]) -> PositionT | None:
    """Return the position in `cursor`, a tuple of this form; None for the beginning.

    Raises ValidationFailedError.
    """
    text = single(query, "cursor")
    if not text:
        return None
    try:
        return form.validate_json(_unpacked(text), strict=True)
    except ValueError:  # binascii's and pydantic's, too
        raise refused("cursor", NOT_GIVEN) from None


def _unpacked(text: str) -> bytes:
    if not _FORM.fullmatch(text):
        raise ValueError(text)
    packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if not packed.startswith(_VERSION):
        raise ValueError(text)
    return packed.removeprefix(_VERSION)
