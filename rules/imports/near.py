"""Students who are much like one that an import would create: worth a look before it does.

Each name is looked up by its variants with one letter less, so that 50,000 names beside 20,000 take
no more than their letters do.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from rules.emails import key_of
from rules.models import PersonName

#: A name has as many variants as letters: longer ones are compared as a whole only.
_LONGEST: Final = 60
#: What is short is like too much else.
_SHORTEST: Final = 5
#: Of more namesakes nobody reads.
_MOST: Final = 3

#: What stands between the words of a name.
_BETWEEN: Final = re.compile(r"[\W_]+")
#: Accents of the alphabets whose letters are themselves without; of other scripts they are vowels.
_ACCENTS: Final = re.compile("[\u0300-\u036f]")

T = TypeVar("T")
U = TypeVar("U")


class Lookalikes(Generic[T]):
    """Students by what their names and addresses are alike in."""

    def __init__(self) -> None:
        self._names: defaultdict[str, list[T]] = defaultdict(list)
        self._variants: defaultdict[str, list[tuple[str, T]]] = defaultdict(list)
        self._locals: defaultdict[str, list[T]] = defaultdict(list)

    def add(self, one: T, name: PersonName, email: str | None) -> None:
        """Make a student known."""
        text = _plain(name)
        _keep(self._names[_sorted(text)], one)
        for variant in _variants(text):
            _keep(self._variants[variant], (text, one))
        if local := _local_part(email):
            _keep(self._locals[local], one)

    def like(self, name: PersonName, email: str | None) -> Iterable[tuple[T, str]]:
        """Return some who are like this one, each once, and what is alike."""
        text = _plain(name)
        found: dict[T, str] = {}
        for one in self._names.get(_sorted(text), ()):
            found.setdefault(one, "It has the same name.")
        if local := _local_part(email):
            for one in self._locals.get(local, ()):
                found.setdefault(one, "Its address is the same before the @.")
        for variant in _variants(text):
            for other, one in self._variants.get(variant, ()):
                if _differ_by_a_letter(text, other):
                    found.setdefault(one, "Its name differs by a letter.")
        return list(found.items())[:_MOST]


def same_name(name: PersonName) -> str:
    """Return what is the same for names that differ in accents, case and order only."""
    return _sorted(_plain(name))


def _keep(some: list[U], one: U) -> None:
    if len(some) < _MOST:
        some.append(one)


def _plain(name: PersonName) -> str:
    """Return a name without what people leave out: accents, case, hyphens."""
    text = f"{name.first_name} {name.last_name}".casefold()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    if plain.isascii():
        return " ".join(_BETWEEN.split(plain)).strip()
    return " ".join(plain.replace("-", " ").split())


def _sorted(text: str) -> str:
    """Return a name for which it does not matter which part comes first."""
    return " ".join(sorted(text.split()))


def _variants(text: str) -> Iterator[str]:
    """Yield what a text has in common with those that differ from it by a letter.

    That one is missing, another one, or changes places with the next.
    """
    if not _SHORTEST <= len(text) <= _LONGEST:
        return
    yield text
    for place in range(len(text)):
        yield text[:place] + text[place + 1 :]


def _differ_by_a_letter(one: str, other: str) -> bool:
    """Whether two texts with a common variant do, or by two letters that changed places."""
    if len(one) != len(other):
        return True
    places = [place for place in range(len(one)) if one[place] != other[place]]
    ours, theirs = ([text[place] for place in places] for text in (one, other))
    return len(places) <= 1 or ours == theirs[::-1]


def _local_part(email: str | None) -> str | None:
    local = key_of(email).rpartition("@")[0] if email else ""
    return local if len(local) >= _SHORTEST else None
