"""The students of the class, and what the matching service suggests for their essays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Student:
    """A student of the class."""

    id: str
    name: str
    email: str | None


#: First name, last name, the part of the email before the @ if the school knows it.
ROSTER: Final[Sequence[tuple[str, str, str | None]]] = (
    ("Åsa", "Öberg", "asa.oberg"),
    ("Björn", "Lindström", "bjorn.lindstrom"),
    ("محمد", "الأحمد", "mohammad.alahmad"),
    ("Nguyễn Thị", "Ánh Tuyết", "tuyet.nguyen"),
    ("Märta", "Åkerblom", "marta.akerblom"),
    ("Zeynep", "Yılmaz", "zeynep.yilmaz"),  # noqa: RUF001
    ("Jürgen", "Groß", "jurgen.gross"),
    ("فاطمة", "الزهراء حسين", "fatima.hussein"),
    ("Łukasz", "Wiśniewski", "lukasz.wisniewski"),
    ("Ebba", "Sjögren", "ebba.sjogren"),
    ("Siobhán", "O'Connor", "siobhan.oconnor"),
    ("Mikael", "Mäkinen", "mikael.makinen"),
    ("Αλέξανδρος", "Παπαδόπουλος", "alex.papadopoulos"),
    ("Олена", "Шевченко", "olena.shevchenko"),
    ("Yusuf", "Cabdullaahi", "yusuf.cabdullaahi"),
    ("Anna-Lena", "Björkqvist", "annalena.bjorkqvist"),
    ("明美", "山田", "akemi.yamada"),
    ("Erik", "Lindström", None),
    ("Trần Văn", "Hùng", None),
    ("Sofia", "García Peña", None),
    ("Liv", "Sørensen", None),
    ("Alva", "Nyström", None),
    ("Carl-Johan", "von Essen", None),
    ("Ḥanna", "Tesfaye", None),
    ("Đorđe", "Petrović", None),
    ("Ines", "Gonçalves", None),
    ("Wilma", "Ek", None),
    ("سارا", "کریمی", None),
    ("Þórunn", "Jónsdóttir", None),
    ("Noah", "af Ugglas", "noah.afugglas"),
)
# What the matching service suggests for the essay of the student at each index.
CHOICES_OF_TWO: Final = range(17, 22)
AT_THRESHOLD: Final = range(22, 24)
BELOW_THRESHOLD: Final = range(24, 26)
UNMATCHED: Final = range(26, 29)
FAILED: Final = range(29, 30)
# What the teacher decides before the clock does.
EXACT: Final = range(CHOICES_OF_TWO.start)
CONFIRMED_FROM: Final = 0.95
GIVEN_TO_THE_SECOND: Final = CHOICES_OF_TWO[0]
REJECTED: Final = BELOW_THRESHOLD[-1]
NAMED_BY_THE_TEACHER: Final = UNMATCHED[0]
NOBODYS: Final = UNMATCHED[1]
#: Who is in a second class, too.
PUPILS_TWICE: Final = range(3)
