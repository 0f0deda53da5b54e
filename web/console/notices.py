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
        "class-made": N_("The class is made. Now add its students."),
        "class-changed": N_("The class is changed."),
        "class-deleted": N_("The class is deleted."),
        "student-added": N_("The student is added."),
        "student-joined": N_("The student is in the class now."),
        "student-left": N_("The student is not in the class any more."),
        "student-changed": N_("The student is changed."),
        "student-deleted": N_("The student is deleted."),
        "students-merged": N_("The two are one student now."),
        "no-letters": N_("Choose dead letters first."),
        "listed": N_("The list is added."),
        "set-aside-retry": N_("The messages are back in the outbox."),
        "set-aside-drop": N_("The messages are deleted; what waited behind them goes on."),
        "set-aside-partly": N_("Somebody else decided about some of them meanwhile. Look again."),
        "timers-check": N_("The workers compare the table with PostgreSQL."),
        "timers-repair": N_("The workers compare the table with PostgreSQL, and repair it."),
    }
)
