"""Reads paths, queries and headers. Raises ValidationFailedError that points to the parameter."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID

from multidict import MultiMapping

from rules.errors import FieldError, ValidationFailedError
from rules.identity import CONTROL
from rules.text import without_blanks

MAX_PAGE: Final = 100
MAX_OFFSET: Final = 2**63 - 1  # PostgreSQL's bigint
MAX_BATCH_IDS: Final = 1000
NOT_GIVEN: Final = "Must be a `next_cursor` that this path gave."

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[-+ ]\d\d:\d\d)", re.ASCII
)
_TRUTHS: Final = {"true": True, "false": False}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def refused(name: str, detail: str) -> ValidationFailedError:
    """Return the error for the parameter `name`."""
    text = f"The parameter {name.partition('/')[0]} cannot be used."
    return ValidationFailedError(text, [FieldError(f"/{name}", detail)])


def canonical_uuid(text: str) -> UUID | None:
    """Return the UUID of 8-4-4-4-12 hexadecimal digits, else None."""
    return UUID(text) if _UUID.fullmatch(text) else None


def identifier(name: str, text: str) -> UUID:
    """Return an id."""
    found = canonical_uuid(text)
    if found is None:
        raise refused(name, "Must be a UUID.")
    return found


def single(query: MultiMapping[str], name: str) -> str | None:
    """Return a parameter that is meant once, None if absent."""
    values = query.getall(name, ())
    if len(values) > 1:  # nobody knows which one counts
        raise refused(name, "Give it once.")
    return values[0] if values else None


def optional_identifier(query: MultiMapping[str], name: str) -> UUID | None:
    """Return an id, None if absent."""
    text = single(query, name)
    return identifier(name, text) if text else None


def optional_text(query: MultiMapping[str], name: str, most: int) -> str | None:
    """Return a text without blanks around it, None if nothing is left."""
    text = single(query, name) or ""
    if len(text) > most:
        raise refused(name, f"At most {most} characters.")
    if CONTROL.search(text) or _SURROGATE.search(text):
        raise refused(name, "Must be text, without control characters.")
    return without_blanks(text) or None


def page_size(query: MultiMapping[str], default: int) -> int:
    """Return `limit`."""
    return _whole_number(query, "limit", default, 1, MAX_PAGE)


def optional_page_size(query: MultiMapping[str]) -> int | None:
    """Return `limit`, None if absent: then a page has everything."""
    return page_size(query, MAX_PAGE) if "limit" in query else None


def page_offset(query: MultiMapping[str]) -> int:
    """Return `offset`."""
    return _whole_number(query, "offset", 0, 0, MAX_OFFSET)


def _whole_number(
    query: MultiMapping[str], name: str, default: int, lowest: int, highest: int
) -> int:
    text = single(query, name)
    if text is None:
        return default
    # Digits only: int() would also take "+1", "1_0" and the digits of other scripts.
    if not _WHOLE_NUMBER.fullmatch(text) or not lowest <= int(text) <= highest:
        raise refused(name, f"Must be a whole number from {lowest} to {highest}.")
    return int(text)


def optional_instant(query: MultiMapping[str], name: str) -> datetime | None:
    """Return an RFC 3339 instant in UTC, None if absent."""
    text = single(query, name)
    if not text:
        return None
    try:
        # A "+" that was not percent-encoded arrives as a blank.
        return _instant(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise refused(name, "Must be an RFC 3339 instant with an offset.") from None


def _instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def identifier_list(query: MultiMapping[str], name: str) -> dict[str, UUID]:
    """Return the comma-separated ids of a parameter, by their texts."""
    texts = _listed(query.getall(name, ()))
    if len(texts) > MAX_BATCH_IDS:
        raise refused(name, f"At most {MAX_BATCH_IDS} ids.")
    return {text: identifier(f"{name}/{index}", text) for index, text in enumerate(texts)}


def _listed(values: Sequence[str]) -> list[str]:
    joined = ",".join(values)
    return [text.strip() for text in joined.split(",")] if joined else []


def one_of(query: MultiMapping[str], name: str, choices: type[ChoiceT]) -> ChoiceT | None:
    """Return the choice of a parameter, None if it is absent or empty."""
    text = single(query, name)
    if not text:
        return None
    known: dict[str, ChoiceT] = {choice.value: choice for choice in choices}
    if text not in known:
        raise refused(name, f"Must be one of {', '.join(known)}.")
    return known[text]


def truth(query: MultiMapping[str], name: str) -> bool:
    """Return a parameter that is true or false, and false if it is absent."""
    text = single(query, name)
    if text is None:
        return False
    if text not in _TRUTHS:
        raise refused(name, "Must be true or false.")
    return _TRUTHS[text]


def chosen(query: MultiMapping[str], name: str, choices: type[ChoiceT]) -> frozenset[ChoiceT]:
    """Return the comma-separated choices of a parameter; all if it is absent or empty."""
    texts = _listed(query.getall(name, ()))
    known: dict[str, ChoiceT] = {choice.value: choice for choice in choices}
    for index, text in enumerate(texts):
        if text not in known:
            raise refused(f"{name}/{index}", f"Must be one of {', '.join(known)}.")
    return frozenset(known[text] for text in texts) or frozenset(choices)
