"""What is wrong with a field of a form, beside it and in the language of the page."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from rules.errors import MultipleCoursesError, ServiceError, ValidationFailedError
from web.console.notices import N_

#: What is wrong, by field; a name that is no field's is of the whole form.
Faults = Mapping[str, Sequence[str]]

#: In words for people, where the rule's are for programs.
_PLAIN: Final = {
    "Must not be blank.": N_("Give a name."),
    "Must not hold control characters.": N_("There are characters in it that cannot be shown."),
    "Must not turn the direction of text.": N_("There are invisible characters in it."),
    "Must have a character that can be seen.": N_("There is nothing in it that can be seen."),
    "Must not be so long once composed (NFC).": N_("This is too long."),
    "Must be an email address.": N_("This is not an email address."),
    "Give one course code.": N_("Choose a course."),
}
#: As the rules say it.
_SAME: Final = (
    N_("Give a first name, a last name or both."),
    N_("Addresses of this domain belong to the service."),
    N_("At most 100 characters."),
    N_("At most 254 characters."),
    N_("At most 255 characters."),
    N_("At most 600 characters."),
    N_("A class has at most 2,000 students."),
    N_("A student is in at most 200 classes."),
)
KNOWN: Final = frozenset({*_PLAIN, *_SAME})


def plain(detail: str) -> str:
    """Return a rule's words as people understand them, still to be translated."""
    if detail.startswith("Unknown course code"):
        return _PLAIN["Give one course code."]
    return _PLAIN.get(detail, detail)


def faults_of(error: ServiceError, fields: Mapping[str, str]) -> Faults:
    """Return what an error says, by field; `fields` has them by the members they are read into.

    What is of none of them is said of the form as a whole, "".
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for fault in error.errors:
        member = fault.pointer.removesuffix("/0").rpartition("/")[2]
        found[fields.get(member, "")].append(plain(fault.detail))
    return found or {"": [plain(error.detail)]}


#: What a form is shown again for.
REFUSALS: Final = (ValidationFailedError, MultipleCoursesError)
