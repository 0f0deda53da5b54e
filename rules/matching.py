"""Which suggested student an essay gets (docs/contract.md, section 5)."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID

from rules.models import MatchResult, Policy, Suggestion


@dataclass(frozen=True, slots=True)
class Choice:
    """The suggestion taken for an essay, None where there is no usable one.

    `awaits_student`: a student ranked before it does not exist yet, so that waiting may
    bring a better choice.
    """

    suggestion: Suggestion | None
    awaits_student: bool


def choose(result: MatchResult, members: AbstractSet[UUID], existing: AbstractSet[UUID]) -> Choice:
    """Take the first suggestion whose student is a member of the batch's class.

    `existing` are the suggested students that exist at all, in whatever class.
    """
    awaits_student = False
    for suggestion in result.suggestions:
        if suggestion.student_id in members:
            return Choice(suggestion, awaits_student)
        if suggestion.student_id not in existing:
            awaits_student = True
    return Choice(None, awaits_student)


def is_certain(choice: Choice, policy: Policy) -> bool:
    """Whether a suggestion is so confident that it is confirmed without a teacher."""
    threshold, chosen = policy.auto_confirm, choice.suggestion
    return threshold is not None and chosen is not None and chosen.confidence >= threshold
