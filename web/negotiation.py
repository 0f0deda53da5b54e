"""Which of several forms of an answer a client prefers (`Accept`, RFC 9110, section 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from multidict import MultiMapping

from web.errors import NotAcceptableError

#: A media range, and its parameters; a quoted text in one may have anything.
_RANGE: Final = re.compile(r'\s*+([\w!#$&^.+*-]++/[\w!#$&^.+*-]++)((?:"(?:\\.|[^"\\])*+"|[^",])*+)')
_WEIGHT: Final = re.compile(r";\s*+[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*+(?:;|\Z)")
_MOST_CHARACTERS: Final = 8_000


def preferred(headers: MultiMapping[str], offered: Sequence[str]) -> str:
    """Return the media type that a client likes best; of those that it likes equally the first.

    Raises NotAcceptableError where it takes none.
    """
    given = ",".join(headers.getall("Accept", ()))
    if not given.strip():
        return offered[0]
    best, weight = _best(given[:_MOST_CHARACTERS], tuple(offered))
    if not weight:
        raise NotAcceptableError(offered)
    return best


@lru_cache(maxsize=128)
def _best(given: str, offered: tuple[str, ...]) -> tuple[str, float]:
    weights = dict(_weighed(given))
    found = [(one, _weight(weights, one)) for one in offered]
    return max(found, key=lambda pair: pair[1])


def _weighed(given: str) -> Iterator[tuple[str, float]]:
    """Yield media ranges and their weights; what cannot be read is left out."""
    for media_range, parameters in _RANGE.findall(given):
        weight = _WEIGHT.search(parameters)
        yield media_range.lower(), float(weight[1]) if weight else 1.0


def _weight(weights: dict[str, float], media_type: str) -> float:
    """Return the weight of the range that fits most closely."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((weights[one] for one in ranges if one in weights), 0.0)
