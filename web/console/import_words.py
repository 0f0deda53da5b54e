"""What reading and planning a file say of its cells, in the languages of the pages.

Rules say it for programs, in English. What is not here, or has more than a line's number in it, is
shown as they say it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rules.imports.naming import UNKNOWN_COURSE
from web.console.faults import KNOWN, plain
from web.console.languages import SOURCE, Speech
from web.console.notices import N_

KINDS: Final[Mapping[str, str]] = {
    "text": N_("a text"),
    "number": N_("a number"),
    "date": N_("a date"),
    "empty": N_("nothing"),
    "missing": N_("nothing"),
    "formula": N_("a formula"),
    "address": N_("an address"),
}
#: What an error is about that may have no column in the file: then it is as exports call it.
COLUMNS: Final[Mapping[str, str]] = {
    "name": N_("Name"),
    "class": N_("Class"),
    "course": N_("Course"),
}
#: In words for people, where rules.imports' are for programs: a file has no list to choose from.
INSTEAD: Final[Mapping[str, str]] = {
    UNKNOWN_COURSE: N_("There is no such course. Write its code or its name, as SV1 or Svenska 1."),
    "A new class needs a course: a column with it, or `course_code`.": N_(
        "A new class needs a course: in a column of the file, or chosen where the file is."
    ),
}
#: As rules.imports says it.
SAID: Final = (
    N_("A formula, not what it gives."),
    N_("What a spreadsheet leaves of a formula that failed, or of a long number."),
    N_("Which class? Give its name or its external id."),
    N_("Who? Give a name, an email or an external id."),
    N_("The line has fewer cells than the heading: is the file cut off?"),
    N_("A quote that is opened here is not closed: is the file cut off?"),
    N_("A cell is far too long, or a quote that is opened here is not closed."),
    N_("A quote ends in the middle of a cell; within quotes, write a quote twice."),
    N_("It was taken out of the class by hand since the last import, and stays out."),
    N_("It was put into the class by hand since the last import, and stays."),
    N_("The student is not there any more."),
    N_("The class is not there any more."),
    N_("It is in the class no more."),
    N_("It is in the class already."),
    N_("Essays are decided for it: it leaves the class, and is not deleted."),
    N_("It is in another class by now: it leaves this one, and is not deleted."),
    N_("The import made the class: it stays, and can be deleted."),
    N_("The id is of one student, the name of another: have they been mixed up?"),
    N_("The address is of one student, the name of another of the class."),
    N_("Several students have this name: give an id or the address that is known."),
    N_("There is no such student, and a new one needs a name."),
    N_("Several of your classes have this name."),
    N_("Its class has an error, which is told beside the class."),
    N_("It has the same name."),
    N_("Its address is the same before the @."),
    N_("Its name differs by a letter."),
    N_("The file is empty."),
    N_("The file is not a text."),
    N_("The file is a workbook or an archive: save it as CSV."),
    N_("The file is a workbook: save it as CSV."),
    N_("The file is not OneRoster: it has no manifest."),
    N_("The file is in UTF-32: save it as UTF-8."),
    N_("The file is not a zip file."),
    N_("The zip file is broken."),
    N_("The zip file is encrypted."),
    N_("There is no such class, and it has no name."),
    N_("Another line gives the class of this external id another name."),
    N_("Another line gives this class another course."),
    N_("The file has several classes of this name: give the course, or an external id."),
    N_("The file names no class: add a column with it, or import it into a class."),
)
#: Likewise of a heading; what would be one is said behind it.
OF_HEADINGS: Final = (
    N_("The first line has no column that is known."),
    N_("There is no column for the first name: add one, which may be empty."),
    N_("There is no column for the last name: add one, which may be empty."),
    N_("No column says who is in the classes."),
)
_KNOWN_COLUMNS: Final = N_(
    'The columns that are known: "first name" (förnamn), "last name" (efternamn), "full name" '
    '(namn), "email" (e-post), "external id" (externt id), "class" (klass), "class external id" '
    '(klass-id), "course" (kurs).'
)
#: Likewise, with the number of a line where it stands.
OF_LINES: Final = (
    N_("Line %(line)s has this external id, too, and says otherwise."),
    N_("Line %(line)s has this email, too: each student needs their own."),
    N_("Line %(line)s has this name, too, and nothing tells the two apart: give external ids."),
)
_LINE: Final = re.compile(r"^Line ([\d,]+)")


@dataclass(frozen=True, slots=True)
class Words:
    """What a rule says, and in which language it is."""

    text: str
    language: str


def words_of(ui: Speech, detail: str) -> Words:
    """Return what a rule says as people understand it, in the page's language if that is known."""
    if detail in INSTEAD:
        return Words(ui.text(INSTEAD[detail]), ui.language)
    first = detail.removesuffix(f" {_KNOWN_COLUMNS}")
    if first in OF_HEADINGS:
        return Words(f"{ui.text(first)} {ui.text(_KNOWN_COLUMNS)}", ui.language)
    message = plain(detail)
    if message != detail or detail in KNOWN or detail in SAID:
        return Words(ui.text(message), ui.language)
    if (found := _LINE.match(detail)) is not None:
        message = detail.replace(found[1], "%(line)s", 1)
        if message in OF_LINES:
            return Words(ui.text(message, line=found[1]), ui.language)
    return Words(detail, SOURCE)
