"""Essays: each has the student that was suggested, and the clock's choice is the contract's."""

from collections.abc import Iterator

from faults.checker.decisions import BY_CLOCK
from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.world import EssayRow

#: The service's default, which the harness leaves as it is (docs/contract.md, section 5).
HIGH_CONFIDENCE = 0.7


def check(index: Index) -> Iterator[Finding]:
    """Compare the essays with the messages that suggested their students."""
    for essay in index.world.essays.values():
        if essay.essay_id in index.proposed:
            yield from _suggestion(index, essay)
        if essay.method == BY_CLOCK and not _is_clocks_choice(index, essay):
            what = f"essay {essay.essay_id}: the clock chose {essay.student_id} for {essay}"
            yield Finding(Kind.ALTERED, what)


def _suggestion(index: Index, essay: EssayRow) -> Iterator[Finding]:
    _, student, confidence, sent = index.proposed[essay.essay_id]
    if essay.suggested_student_id is not None:
        if (essay.suggested_student_id, essay.confidence) != (student, confidence):
            yield Finding(Kind.ALTERED, f"essay {essay.essay_id} suggests another: {essay}", sent)
        return
    # A student that existed before the message was sent, and stays, is kept.
    there_since = index.lasting_students.get(student or "")
    in_class = index.class_of_batch.get(essay.batch_id) not in index.asked_classes
    if in_class and there_since is not None and sent is not None and there_since < sent:
        yield Finding(Kind.LOST, f"essay {essay.essay_id} has lost its suggestion: {essay}", sent)


def _is_clocks_choice(index: Index, essay: EssayRow) -> bool:
    """Whether the clock kept the student that it has to keep, or took UNKNOWN of the class."""
    if essay.student_id is None:
        return True  # deleted since
    if essay.suggested_student_id is not None and essay.confidence >= HIGH_CONFIDENCE:
        return essay.student_id == essay.suggested_student_id
    student = index.world.students.get(essay.student_id)
    class_id = index.class_of_batch.get(essay.batch_id)
    if student is not None and student.email == f"unknown.{class_id}@huleedu.system":
        return True
    # A suggestion that was kept, of a student that has been deleted since, is not there any more.
    return essay.suggested_student_id is None and essay.student_id in index.asked_students
