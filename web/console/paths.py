"""Addresses of pages."""

import re
from typing import Final

_OWN: Final = re.compile(r"/console(?:[/?#][!-~]*)?")


def own_path(given: str) -> str:
    r"""Return an address that a form gave if it is one of the console's, else its first page.

    What could lead elsewhere ("//host", "/\\host") does not begin as ours do.
    """
    return given if _OWN.fullmatch(given) else "/console"
