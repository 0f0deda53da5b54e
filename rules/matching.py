"""Which suggested student an essay gets (docs/contract.md, section 5)."""

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple
from uuid import UUID

from rules.models import MatchResult, Policy, Suggestion

#: What is kept of what was suggested for an essay; what is longer is cut.
MAX_SUGGESTIONS: Final = 10
MAX_REASONS: Final = 20
MAX_REASON: Final = 200
MAX_FILENAME: Final = 255


class Choice(NamedTuple):
    """The suggestion chosen for an essay, None if none is usable.

    `awaits_student`: a student ranked higher does not exist yet; waiting may give a better choice.
    """

    suggestion: Suggestion | None
    awaits_student: bool


def choose(result: MatchResult, members: AbstractSet[UUID], existing: AbstractSet[UUID]) -> Choice:
    """Choose the first suggestion whose student is a member of the batch's class.

    `existing` are the suggested students that exist at all, in any class.
    """
    awaits_student = False
    for suggestion in result.suggestions:
        if suggestion.student_id in members:
            return Choice(suggestion, awaits_student)
        if suggestion.student_id not in existing:
            awaits_student = True
    return Choice(None, awaits_student)


def usable(result: MatchResult, members: AbstractSet[UUID]) -> tuple[Suggestion, ...]:
    """Return what is kept of the suggestions: the first of members of the class, each once."""
    kept = [s for s in result.suggestions if s.student_id in members]
    # Of the numbers: hashing a UUID takes ten times as long, and this is done for every essay.
    if len(kept) > 1 and len({s.student_id.int for s in kept}) < len(kept):
        first: dict[UUID, Suggestion] = {}
        for suggestion in kept:
            first.setdefault(suggestion.student_id, suggestion)
        kept = list(first.values())
    return tuple(map(cut, kept[:MAX_SUGGESTIONS]))


def cut(suggestion: Suggestion) -> Suggestion:
    """Return a suggestion with as many and as long reasons as are kept."""
    reasons = suggestion.match_reasons
    # All of them together are rarely longer than one may be, and that is soon seen.
    fit = len("".join(reasons)) <= MAX_REASON or max(map(len, reasons)) <= MAX_REASON
    if len(reasons) <= MAX_REASONS and fit:
        return suggestion
    return suggestion._replace(match_reasons=tuple(r[:MAX_REASON] for r in reasons[:MAX_REASONS]))


def is_certain(choice: Choice, policy: Policy) -> bool:
    """Whether a suggestion is confident enough to be confirmed without a teacher."""
    threshold, chosen = policy.auto_confirm, choice.suggestion
    return threshold is not None and chosen is not None and chosen.confidence >= threshold
