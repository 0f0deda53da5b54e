"""Whole names, as people write them, taken apart."""

from typing import Final

#: What belongs to the last name before it.
_PARTICLES: Final = frozenset(
    {"af", "al", "ap", "ben", "bin", "da", "dal", "das", "de", "del", "della", "den", "der"}
    | {"di", "do", "dos", "du", "el", "la", "le", "los", "ten", "ter", "van", "von", "zu"}
)


def split_name(name: str) -> tuple[str, str]:
    """Return first and last name: "Berg, Anna", or the last name from its particles on.

    A single word is the first name. Where the first name ends is a guess.
    """
    last, comma, first = name.partition(",")
    if comma:
        return first.strip(), last.strip()
    words = name.split()
    if len(words) < 2:  # noqa: PLR2004
        return name.strip(), ""
    begin = len(words) - 1
    while begin > 1 and words[begin - 1] in _PARTICLES:
        begin -= 1
    return " ".join(words[:begin]), " ".join(words[begin:])
