"""Essays: each has the suggested student, and the clock's choice follows the contract."""

from collections.abc import Iterator, Sequence

from faults.checker.decisions import BY_CLOCK, CLOCKS_APART
from faults.checker.findings import Finding, Kind
from faults.checker.index import Index, Proposal
from faults.world import EssayRow

#: The service's default, which the harness does not change (docs/contract.md, section 5).
HIGH_CONFIDENCE = 0.7


def check(index: Index) -> Iterator[Finding]:
    """Compare the essays with the messages that suggested their students."""
    for essay in index.world.essays.values():
        # One of them came first; `batches` finds essays without any.
        if proposals := index.proposals(essay):
            yield from _suggestion(index, essay, proposals)
        if essay.method == BY_CLOCK and not _is_clocks_choice(index, essay):
            what = f"essay {essay.essay_id}: the clock chose {essay.student_id} for {essay}"
            yield Finding(Kind.ALTERED, what)
        if essay.method == BY_CLOCK and _had_left(index, essay):
            what = f"essay {essay.essay_id}: the clock chose {essay.student_id}, who had left"
            yield Finding(Kind.ALTERED, what)


def _suggestion(index: Index, essay: EssayRow, proposals: Sequence[Proposal]) -> Iterator[Finding]:
    sent = proposals[0].sent
    if essay.suggested_student_id is not None:
        if not any(_is_proposed(index, essay, one) for one in proposals):
            yield Finding(Kind.ALTERED, f"essay {essay.essay_id} suggests another: {essay}", sent)
        return
    # A student that existed before the message was sent, and neither left nor was deleted, is kept.
    in_class = index.class_of_batch.get(essay.batch_id) not in index.deleted_classes
    if in_class and all(_has_to_stay(index, one) for one in proposals):
        yield Finding(Kind.LOST, f"essay {essay.essay_id} has lost its suggestion: {essay}", sent)


def _is_proposed(index: Index, essay: EssayRow, proposal: Proposal) -> bool:
    is_same = index.is_same(proposal.student_id, essay.suggested_student_id)
    return is_same and essay.confidence == proposal.confidence


def _has_to_stay(index: Index, proposal: Proposal) -> bool:
    there_since = index.lasting_students.get(proposal.student_id or "")
    return there_since is not None and proposal.sent is not None and there_since < proposal.sent


def _had_left(index: Index, essay: EssayRow) -> bool:
    """Whether an essay's student was surely out of the class when the essay was decided."""
    class_id = index.class_of_batch.get(essay.batch_id, "")
    since = index.left_since.get((essay.student_id or "", class_id))
    if since is None or essay.validated_at is None:
        return False
    return essay.validated_at > index.history.instant(since) + CLOCKS_APART


def _is_clocks_choice(index: Index, essay: EssayRow) -> bool:
    """Whether the clock kept the student that it has to keep, or chose the class's UNKNOWN."""
    if essay.student_id is None:
        return True  # deleted since then
    if essay.suggested_student_id is not None and essay.confidence >= HIGH_CONFIDENCE:
        return essay.student_id == essay.suggested_student_id
    student = index.world.students.get(essay.student_id)
    class_id = index.class_of_batch.get(essay.batch_id)
    if student is None or student.email != f"unknown.{class_id}@huleedu.system":
        # A kept suggestion of a student deleted since then is null.
        return essay.suggested_student_id is None and essay.student_id in index.deleted_students
    return student.is_placeholder
