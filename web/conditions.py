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

#: What says the same of 304 as of the answer that it stands for (RFC 9110, section 15.4.5).
_KEPT: Final = ("Cache-Control", "Vary")

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


def required(headers: MultiMapping[str]) -> Condition:
    """Return what `If-Match` asks for, which has to name a tag. Raises ValidationFailedError."""
    condition = asked(headers)
    if condition is None:
        raise refused("If-Match", "Give the `ETag` of what you have seen.")
    return condition


def unless_known(headers: MultiMapping[str], response: web.Response) -> web.Response:
    """Return a response, or that nothing has changed if the client has it, by `If-None-Match`.

    `headers` are the request's. Raises ValidationFailedError.
    """
    listed = _read(headers, "If-None-Match")
    if listed is None:
        return response
    entity = response.headers.get("ETag")
    if entity is None:
        return response
    known = _known(listed, entity)
    if known is None:
        return response
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={**kept, "ETag": known})


def _known(listed: Sequence[_Listed], entity: str) -> str | None:
    """Return the `ETag` of what the client has, compressed or not, None if it has something else.

    `entity` is that of what it would get, which may be compressed already.
    """
    if listed is _ANYTHING:
        return entity
    tag = entity[1:-1].removesuffix(_SUFFIX)
    return next((entity_tag(one.text) for one in listed if one.tag == tag), None)


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
