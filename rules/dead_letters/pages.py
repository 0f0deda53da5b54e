"""Dead letters a page at a time, from the newest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rules.dead_letters.tally import LetterStatus

#: Of each partition (topic and number) the offset from which on it has been looked through.
Positions: TypeAlias = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters, the newest first.

    `after` is where the next page begins, None where there is nothing more. `is_cut_off`: the time
    was up before the page was full; of `read` letters these are the ones that were wanted.
    """

    statuses: Sequence[LetterStatus]
    after: Positions | None
    is_cut_off: bool
    read: int
