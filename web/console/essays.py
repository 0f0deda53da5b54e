"""The essays of a batch as its page shows them: one row each, what stands there and who decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from rules.models import Association, AssociationView, Method, Status
from rules.tags import association_tag
from rules.timeouts import UNKNOWN_NAME, kept
from store.pace import Pace
from web.console.notices import N_


class State(StrEnum):
    """How sure it is whose essay this is; what first needs a teacher's eyes comes first."""

    UNMATCHED = "unmatched"
    UNCERTAIN = "uncertain"
    CERTAIN = "certain"
    DECIDED = "decided"


class By(StrEnum):
    """Who decided an essay."""

    YOU = "you"
    OTHER = "other"
    CLOCK = "clock"
    AUTO = "auto"


_ORDER: Final = tuple(State)

#: The matcher's codes in words; what it writes itself is shown as it is.
REASONS: Final = MappingProxyType(
    {
        "email_exact": N_("email"),
        "name_exact": N_("name"),
        "name_fuzzy": N_("name alike"),
        "name_partial": N_("part of the name"),
        "first_last_match": N_("first and last name"),
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A student who may have written an essay."""

    student_id: UUID
    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Row:
    """An essay. `tag` stands for all that is shown of it; `keeps`: the clock would keep it."""

    association: Association
    student_name: str | None
    others: tuple[Candidate, ...]
    state: State
    by: By | None
    tag: str
    keeps: bool

    @property
    def essay_id(self) -> UUID:
        """The essay's id."""
        return self.association.essay_id

    @property
    def file(self) -> str:
        """The name of its file, else its id."""
        return self.association.filename or str(self.association.essay_id)

    @property
    def pending(self) -> bool:
        """Whether it is still undecided."""
        return self.association.pending

    @property
    def suggested(self) -> UUID | None:
        """Whom confirming what stands there would take."""
        return self.association.suggested_student_id if self.pending else None

    @property
    def reasons(self) -> list[str]:
        """Why this student is suggested, in English where it is a code that is known."""
        return [REASONS.get(reason, reason) for reason in self.association.match_reasons]

    @property
    def is_nobodys(self) -> bool:
        """Whether it was decided that nobody here wrote it."""
        return self.association.status is Status.REJECTED and self.association.student_id is None

    @property
    def is_unknown(self) -> bool:
        """Whether it was decided for the UNKNOWN student of the class."""
        return not self.pending and self.student_name == UNKNOWN_NAME.legal_full_name


def row_of(view: AssociationView, user_id: str, high_confidence: float) -> Row:
    """Return the row of an essay, for a teacher; `high_confidence` is the clock's threshold."""
    association = view.association
    shown = association.suggested_student_id if association.pending else association.student_id
    others = tuple(
        Candidate(one.student_id, view.names[one.student_id], one.confidence)
        for one in association.suggestions
        if one.student_id != shown
    )
    return Row(
        association,
        view.student_name if shown else None,
        others,
        _state(association, high_confidence),
        decided_by(association.method, association.validated_by, user_id),
        association_tag(view),
        _keeps(association, high_confidence),
    )


def _keeps(association: Association, high_confidence: float) -> bool:
    suggested, confidence = association.suggested_student_id, association.confidence
    return kept(suggested, confidence, high_confidence, None) is not None


def _state(association: Association, high_confidence: float) -> State:
    if not association.pending:
        return State.DECIDED
    if association.suggested_student_id is None:
        return State.UNMATCHED
    return State.CERTAIN if _keeps(association, high_confidence) else State.UNCERTAIN


def decided_by(method: Method | None, by: str | None, user_id: str) -> By | None:
    """Return who decided, as a teacher sees it; None while nobody has."""
    if method is Method.TIMEOUT:
        return By.CLOCK
    if method is Method.AUTO:
        return By.AUTO
    if method is None:
        return None
    return By.YOU if by == user_id else By.OTHER


async def rows_of(
    views: Iterable[AssociationView], user_id: str, high_confidence: float
) -> list[Row]:
    """Return the rows of a batch in their order: of thousands, while others run in between."""
    pace, rows = Pace(), []
    for view in views:
        rows.append(row_of(view, user_id, high_confidence))
        await pace.keep()
    return sorted(rows, key=_place)


def _place(row: Row) -> tuple[int, float, str, str]:
    confidence = 0.0 if row.state is State.DECIDED else row.association.confidence
    return _ORDER.index(row.state), confidence, row.file.casefold(), str(row.essay_id)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many essays of a batch are in each state, and who decided how many."""

    states: dict[State, int]
    by: dict[By, int]
    nobody: int
    unknown: int

    @property
    def pending(self) -> int:
        """How many are to be decided."""
        return sum(self.states.values()) - self.states[State.DECIDED]


def counts_of(rows: Sequence[Row]) -> Counts:
    """Count the rows of a batch."""
    states, by = dict.fromkeys(State, 0), dict.fromkeys(By, 0)
    for row in rows:
        states[row.state] += 1
        if row.by is not None:
            by[row.by] += 1
    nobody, unknown = sum(row.is_nobodys for row in rows), sum(row.is_unknown for row in rows)
    return Counts(states, by, nobody, unknown)


def from_confidence(rows: Iterable[Row], least: float) -> int:
    """Return how many suggestions that wait have at least this confidence."""
    return sum(row.suggested is not None and row.association.confidence >= least for row in rows)
