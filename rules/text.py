"""Text from people as it is stored: in one form, without blanks around, with something to see."""

import re
import unicodedata
from typing import Final

#: Unicode's property White_Space, which str.strip() goes beyond, and U+FEFF, with which some files
#: begin.
_BLANKS: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)

#: Unicode's property Bidi_Control: these reorder the text around them, also what follows a name.
BIDIRECTIONAL: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# The same for the patterns of a JSON Schema (ECMA 262), which cannot say what is visible: names are
# what stands between blanks, without control characters and without those above.
_BLANK: Final = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_REFUSED: Final = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
MAYBE_EMPTY: Final = f"^[{_BLANK}]*[^{_REFUSED}]*[{_BLANK}]*$"
NO_CONTROLS: Final = rf"^[{_BLANK}]*[^\u0000-\u001f\u007f-\u009f]*[{_BLANK}]*$"
NOT_BLANK: Final = f"^[{_BLANK}]*[^{_BLANK}{_REFUSED}][^{_REFUSED}]*[{_BLANK}]*$"

#: Shows nothing though its category is that of a letter or symbol, or of no character yet: the rest
#: of the property Default_Ignorable_Code_Point, and blanks that are none by White_Space.
_FILLER: Final = re.compile(
    "[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8"
    "\U00013441\U00013442\U0001d159\U000e0000-\U000e0fff]"
)

#: Names as most are written here: words of Latin letters, digits, apostrophes and hyphens, with
#: single blanks between them. They are stored as they are; all others are looked at more closely.
PLAIN_NAME: Final = re.compile("[0-9A-Za-z\u00c0-\u017f'-]++(?: [0-9A-Za-z\u00c0-\u017f'-]++)*+")

#: Categories that show nothing by themselves: controls, formats, marks, separators.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Mn", "Mc", "Me", "Zs", "Zl", "Zp"})


def normalised(text: str) -> str:
    """Return a text in NFC, without white space and U+FEFF on both ends.

    It may be longer than what was given, by a few characters that have no form of one piece.
    """
    return unicodedata.normalize("NFC", without_blanks(text))


def without_blanks(text: str) -> str:
    """Return a text without white space and U+FEFF on both ends, else as it is."""
    return text.strip(_BLANKS)


def is_visible(text: str) -> bool:
    """Whether a text has a character that shows by itself."""
    return any(unicodedata.category(c) not in _HIDDEN and not _FILLER.match(c) for c in text)


def joined(*parts: str) -> str:
    """Return the parts with a blank between them; one that is empty leaves none."""
    return " ".join([part for part in parts if part])
