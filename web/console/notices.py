"""What a page says once that a form has done its work: the address has the name of the text."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


def N_(message: str) -> str:  # noqa: N802  # gettext's name for a text that is translated later
    """Mark a text for the catalogues."""
    return message


NOTICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "signed-out": N_("You are signed out."),
        "decided": N_("Saved."),
        "confirmed": N_("Saved. What is left to decide comes first."),
    }
)
