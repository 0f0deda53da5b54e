"""The origins of pages, as a browser writes them in its Origin header."""

import re
from typing import Final
from urllib.parse import urlsplit

_ORIGIN: Final = re.compile(
    r"(https?)://(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[1-9]\d{0,4})?",
    re.ASCII,
)
#: A browser leaves them out.
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = (
    "must be origins as browsers send them, like https://app.example or http://localhost:3000, "
    "with commas between them: no path, no default port, no capital letters, and no *"
)


def origins(value: str) -> str:
    """Return a list of origins without blanks around the commas.

    `*` is none: a page that anybody made could ask what its reader's network reaches.
    """
    given = [origin.strip() for origin in value.split(",")]
    if not all(_is_origin(one) for one in given):
        raise ValueError(_FORM)
    return ",".join(given)


def _is_origin(text: str) -> bool:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return False
    try:
        return urlsplit(text).port != _DEFAULT_PORTS[found[1]]
    except ValueError:  # no port has so large a number
        return False
