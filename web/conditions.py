"""Conditional requests (RFC 9110, section 13): `ETag`, `If-Match` and `If-None-Match`.

A tag (rules.tags) is quoted in a header. That of a compressed answer has a suffix, since its bytes
are others; a condition takes it as well, since what it stands for is the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from rules.conditions import Condition
from web.parameters import refused

_SUFFIX: Final = "-gzip"

# An element of a list may be empty. Possessive: a header of 8 KB is read in one go.
_ELEMENT: Final = re.compile(r'[ \t]*+(?:(W/)?"([^\x00-\x20"\x7f]*+)")?+[ \t]*+(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class _Listed:
    """A tag of a condition; `text` is what stands between its quotation marks."""

    text: str
    is_weak: bool

    @property
    def tag(self) -> str:
        return self.text.removesuffix(_SUFFIX)


#: What `*` lists.
_ANYTHING: Final = (_Listed("*", is_weak=False),)


def entity_tag(tag: str) -> str:
    """Return a tag as `ETag` has it."""
    return f'"{tag}"'


def compressed(entity: str) -> str:
    """Return the `ETag` of the same answer when it is compressed."""
    return f'{entity[:-1]}{_SUFFIX}"'


def asked(headers: MultiMapping[str]) -> Condition | None:
    """Return what `If-Match` asks for, None if that is nothing.

    `*` asks for no more than what holds anyway: what is absent is not found. A weak tag matches
    nothing. Raises ValidationFailedError.
    """
    listed = _read(headers, "If-Match")
    if listed is None or listed is _ANYTHING:
        return None
    return Condition(frozenset(one.tag for one in listed if not one.is_weak))


def unless_known(headers: MultiMapping[str], response: web.Response) -> web.Response:
    """Return a response, or that nothing has changed if the client has it, by `If-None-Match`.

    `headers` are the request's. Raises ValidationFailedError.
    """
    listed = _read(headers, "If-None-Match")
    entity = response.headers.get("ETag")
    if listed is None or entity is None:
        return response
    # Compressed or not, as the client has it.
    known = [entity_tag(one.text) for one in listed if entity_tag(one.tag) == entity]
    if listed is _ANYTHING:
        known = [entity]
    if not known:
        return response
    return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": known[0]})


def _read(headers: MultiMapping[str], name: str) -> Sequence[_Listed] | None:
    """Return the tags of a header, None if it is absent."""
    lines = headers.getall(name, None)
    if lines is None:
        return None
    text = ",".join(lines)
    if text.strip(" \t") == "*":
        return _ANYTHING
    try:
        listed = [*_elements(text)]
    except ValueError:
        listed = []
    if not listed:
        raise refused(name, "Must be * or a list of tags in quotation marks.")
    return listed


def _elements(text: str) -> Iterator[_Listed]:
    position = 0
    while position < len(text):
        element = _ELEMENT.match(text, position)
        if element is None:
            raise ValueError(text)
        weak, tag = element.groups()
        if tag is not None:
            yield _Listed(tag, is_weak=weak is not None)
        position = element.end()
