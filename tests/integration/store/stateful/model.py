"""A small model of the contract's rules: what a store has to answer, without how.

Ids are chosen by the test. Only the UNKNOWN student of a class gets its id from the store; the
model gives it one of its own, and `sides.Side` knows which is which.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from rules.models import SYSTEM_AUTO, SYSTEM_TIMEOUT

#: Hours until the clock decides, and from which confidence it keeps a suggestion.
TIMEOUT: Final = 24
SURE: Final = 0.7
#: Apart from all ids that the test chooses.
UNKNOWN_IDS: Final = 1_000_000

Name: TypeAlias = tuple[str, str]
#: A student and the confidence in it.
Proposed: TypeAlias = tuple[UUID, float]
#: By whom, how, for whom, and with which status an essay was decided.
Past: TypeAlias = tuple[str, str, UUID | None, str]


class Refusal(Exception):  # noqa: N818  # an answer, not an error of the model
    """The service refuses, with an `error_code` and perhaps the student that is in the way."""

    def __init__(self, code: str, student_id: UUID | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.student_id = student_id


def refusal(refused: Refusal) -> tuple[object, ...]:
    return ("refused", refused.code, refused.student_id)


@dataclass
class Klass:
    owner: str
    name: str
    course: str
    unknown: UUID | None = None


@dataclass
class Pupil:
    owner: str
    name: Name
    email: str | None
    classes: set[UUID]


@dataclass
class Essay:
    suggestions: list[Proposed]
    suggested: UUID | None
    confidence: float
    due: float
    status: str = "pending_validation"
    method: str | None = None
    student: UUID | None = None
    by: str | None = None
    past: list[Past] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        return self.method is None

    @property
    def kept(self) -> bool:
        return self.status in {"confirmed", "timeout_confirmed"}

    def decide(self, status: str, method: str, student: UUID | None, by: str) -> None:
        self.status, self.method, self.student, self.by = status, method, student, by
        self.past.append((by, method, student, status))

    def withdraw(self) -> None:
        self.suggested, self.confidence = None, 0.0

    def refers_to(self, student: UUID) -> bool:
        return student in (self.suggested, self.student)

    def swap(self, old: UUID, new: UUID | None, *, others: bool = False) -> None:
        """Put one student, or nobody, in the place of another; also among `others` suggested."""
        if self.suggested == old:
            self.suggested = new
        if self.student == old:
            self.student = new
        if new is not None and others:
            moved: dict[UUID, float] = {}
            for one, sure in self.suggestions:
                moved.setdefault(new if one == old else one, sure)
            self.suggestions = list(moved.items())
        self.past = [(by, how, new if who == old else who, so) for by, how, who, so in self.past]


@dataclass
class Batch:
    class_id: UUID
    essays: dict[UUID, Essay] = field(default_factory=dict)
    closed: bool = False
    deleted_by: str | None = None
    #: The clock decided an essay, though that may have been corrected since.
    clock: bool = False

    @property
    def pending(self) -> list[Essay]:
        return [essay for essay in self.essays.values() if essay.pending]


@dataclass
class School:
    """All of it. Operations raise Refusal, and then have changed nothing."""

    auto: float | None = None
    now: float = 0
    classes: dict[UUID, Klass] = field(default_factory=dict)
    pupils: dict[UUID, Pupil] = field(default_factory=dict)
    batches: dict[UUID, Batch] = field(default_factory=dict)
    deleted: set[UUID] = field(default_factory=set)
    #: How many UNKNOWN students there have been.
    unknowns: int = 0
    #: What has been told since the last look: see `take_told`.
    told: list[tuple[object, ...]] = field(default_factory=list)

    # --- classes --------------------------------------------------------------------------------

    def own_class(self, owner: str, class_id: UUID) -> Klass:
        klass = self.classes.get(class_id)
        if klass is None or klass.owner != owner:
            raise Refusal("CLASS_NOT_FOUND")
        return klass

    def create_class(self, owner: str, class_id: UUID, name: str, course: str) -> None:
        if klass := self.classes.get(class_id):
            if (klass.owner, klass.name, klass.course) != (owner, name, course):
                raise Refusal("IDEMPOTENCY_CONFLICT")
            return
        self.classes[class_id] = Klass(owner, name, course)
        self.told.append(("class.created", class_id, name))

    def update_class(self, owner: str, class_id: UUID, name: str) -> None:
        klass = self.own_class(owner, class_id)
        if klass.name != name:
            klass.name = name
            self.told.append(("class.updated", class_id, name))

    def delete_class(self, owner: str, class_id: UUID) -> None:
        self.own_class(owner, class_id)
        self.settle(class_id)  # batches of an earlier class with this id
        del self.classes[class_id]
        self.deleted.add(class_id)
        for pupil in self.pupils.values():
            pupil.classes.discard(class_id)
        for batch in self.batches_of(class_id):
            batch.deleted_by = owner
        self.told.append(("class.deleted", class_id))

    def batches_of(self, class_id: UUID) -> list[Batch]:
        """Return the batches of a class that is there."""
        return [b for b in self.batches.values() if b.class_id == class_id and not b.deleted_by]

    def members(self, class_id: UUID) -> set[UUID]:
        """Return the students of a class, with its UNKNOWN student."""
        found = {one for one, pupil in self.pupils.items() if class_id in pupil.classes}
        klass = self.classes.get(class_id)
        return found | {klass.unknown} if klass and klass.unknown else found

    # --- students -------------------------------------------------------------------------------

    def find(self, owner: str, student_id: UUID) -> Pupil | None:
        """Return an own student, None for an UNKNOWN one."""
        if self.owner_of_unknown(student_id) == owner:
            return None
        pupil = self.pupils.get(student_id)
        if pupil is None or pupil.owner != owner:
            raise Refusal("STUDENT_NOT_FOUND")
        return pupil

    def own_pupil(self, owner: str, student_id: UUID) -> Pupil:
        """Return a student that its owner may change."""
        pupil = self.find(owner, student_id)
        if pupil is None:
            raise Refusal("PLACEHOLDER_STUDENT")
        return pupil

    def owner_of_unknown(self, student_id: UUID) -> str | None:
        found = (k.owner for k in self.classes.values() if k.unknown == student_id)
        return next(found, None)

    def holder(self, owner: str, email: str | None) -> UUID | None:
        """Return the owner's student with this address."""
        if email is None:
            return None
        same = (
            one
            for one, pupil in self.pupils.items()
            if pupil.owner == owner and pupil.email and pupil.email.lower() == email.lower()
        )
        return next(same, None)

    def create_student(
        self, owner: str, student_id: UUID, name: Name, email: str | None, joins: Iterable[UUID]
    ) -> None:
        """Create a student whose id is free, as over HTTP, where the service chooses it."""
        for class_id in joins:
            self.own_class(owner, class_id)
        if taken := self.holder(owner, email):
            raise Refusal("STUDENT_EMAIL_CONFLICT", taken)
        self.pupils[student_id] = Pupil(owner, name, email, set(joins))
        self.told.append(("student.created", student_id, name, frozenset(joins)))

    def register(
        self, owner: str, class_id: UUID, rows: Sequence[tuple[UUID, Name, str | None]]
    ) -> str:
        """Register a roster, all or none: who is there already under the same name joins."""
        self.own_class(owner, class_id)
        kept = deepcopy(self.pupils), len(self.told)
        found = [self._register(owner, class_id, *row) for row in rows]
        if codes := {one.code for one in found if isinstance(one, Refusal)}:
            self.pupils = kept[0]
            del self.told[kept[1] :]
            raise Refusal(codes.pop() if len(codes) == 1 else "VALIDATION_ERROR")
        return "duplicate" if all(found) else "applied"

    def _register(
        self, owner: str, class_id: UUID, student_id: UUID, name: Name, email: str | None
    ) -> bool | Refusal:
        """Register one; return whether it is a repetition, or why it is refused."""
        taken = student_id if student_id in self.pupils else self.holder(owner, email)
        if taken is None:
            self.create_student(owner, student_id, name, email, [class_id])
            return False
        pupil = self.pupils[taken]
        if (pupil.owner, pupil.name) != (owner, name):
            same_id = taken == student_id
            return Refusal("IDEMPOTENCY_CONFLICT" if same_id else "STUDENT_EMAIL_CONFLICT")
        if class_id not in pupil.classes:
            pupil.classes.add(class_id)
            self._tell_updated(taken, {class_id}, set())
            return False
        return taken == student_id and pupil.email == email

    def update_student(
        self,
        owner: str,
        student_id: UUID,
        name: Name | None = None,
        email: str | None = None,
        joins: Sequence[UUID] = (),
        leaves: Sequence[UUID] = (),
    ) -> None:
        self.find(owner, student_id)
        for class_id in (*joins, *leaves):
            self.own_class(owner, class_id)
        pupil = self.own_pupil(owner, student_id)
        if (taken := self.holder(owner, email)) not in {None, student_id}:
            raise Refusal("STUDENT_EMAIL_CONFLICT", taken)
        joined, left = set(joins) - pupil.classes, set(leaves) & pupil.classes
        changed = name or pupil.name, email or pupil.email
        if changed == (pupil.name, pupil.email) and not joined and not left:
            return
        pupil.name, pupil.email = changed
        pupil.classes = (pupil.classes | joined) - left
        for class_id in left:
            for batch in self.batches_of(class_id):
                self._withdraw(batch, student_id)
        self._tell_updated(student_id, joined, left)

    def delete_student(self, owner: str, student_id: UUID) -> None:
        self.own_pupil(owner, student_id)
        del self.pupils[student_id]
        for batch in self.batches.values():
            self._withdraw(batch, student_id)
            for essay in batch.essays.values():
                essay.swap(student_id, None)
        self.told.append(("student.deleted", student_id))

    def merge(self, owner: str, student_id: UUID, into: UUID) -> None:
        if student_id == into:
            raise Refusal("VALIDATION_ERROR")
        for one in (student_id, into):
            self.find(owner, one)
        merged, kept = self.own_pupil(owner, student_id), self.own_pupil(owner, into)
        joined = merged.classes - kept.classes
        near = merged.classes | kept.classes
        kept.email = kept.email or merged.email
        kept.classes |= merged.classes
        del self.pupils[student_id]
        self._tell_updated(into, joined, set())
        for batch_id, batch in self.batches.items():
            for essay_id, essay in batch.essays.items():
                if essay.student == student_id:
                    self._tell_association(batch_id, essay_id, into)
                # Elsewhere the suggestions that nobody sees stay as they came.
                is_near = batch.class_id in near and not batch.deleted_by
                others = is_near or essay.refers_to(student_id)
                essay.swap(student_id, into, others=others)
        self.told.append(("student.deleted", student_id))

    def _withdraw(self, batch: Batch, student_id: UUID) -> None:
        for essay in batch.pending:
            if essay.suggested == student_id:
                essay.withdraw()

    # --- batches --------------------------------------------------------------------------------

    def suggest(
        self, batch_id: UUID, class_id: UUID, results: Sequence[tuple[UUID, Sequence[Proposed]]]
    ) -> str:
        """Take a message; return what becomes of it."""
        batch = self.batches.get(batch_id)
        if fault := self._refused_message(batch, class_id):
            return fault
        taken = {essay for one in self.batches.values() for essay in one.essays}
        batch = self.batches.setdefault(batch_id, Batch(class_id))
        before = len(batch.essays)
        for essay_id, proposed in results:
            if essay_id not in taken:
                batch.essays.setdefault(essay_id, self._matched(class_id, proposed))
        if len(batch.essays) == before and batch.essays:
            return "nothing_new"
        self._close_if_decided(batch_id)
        return "stored" if batch.essays else "closed"

    def _refused_message(self, batch: Batch | None, class_id: UUID) -> str | None:
        gone = class_id in self.deleted and class_id not in self.classes
        if gone or (batch is not None and batch.deleted_by):
            return "class_deleted"
        if class_id not in self.classes:
            return "class_not_found"
        if batch is not None and batch.class_id != class_id:
            return "batch_of_another_class"
        if batch is not None and batch.closed:
            return "batch_closed"
        return None

    def _matched(self, class_id: UUID, proposed: Sequence[Proposed]) -> Essay:
        usable = [
            one
            for one in proposed
            if one[0] in self.pupils and class_id in self.pupils[one[0]].classes
        ]
        suggested, confidence = usable[0] if usable else (None, 0.0)
        essay = Essay(usable, suggested, confidence, self.now + TIMEOUT)
        if suggested and self.auto is not None and confidence >= self.auto:
            essay.decide("confirmed", "auto", suggested, SYSTEM_AUTO)
        return essay

    def own_batch(self, owner: str, batch_id: UUID) -> Batch:
        batch = self.batches.get(batch_id)
        if batch is None or batch.deleted_by or self.classes[batch.class_id].owner != owner:
            raise Refusal("BATCH_NOT_FOUND")
        return batch

    def confirm(
        self,
        owner: str,
        batch_id: UUID,
        decisions: Sequence[tuple[UUID, bool, UUID | None]],
        least: float | None,
    ) -> tuple[int, int, int]:
        """Decide essays (essay, confirmed, student), then what is suggested with confidence."""
        batch = self.own_batch(owner, batch_id)
        wanted = self._wanted(batch, decisions)
        for essay_id, (status, student) in wanted.items():
            essay = batch.essays[essay_id]
            if not essay.pending and not self._repeats(batch, essay, status, student):
                raise Refusal("BATCH_CONFLICT")
        for essay_id, (status, student) in wanted.items():
            if batch.essays[essay_id].pending:
                given = self._unknown(batch.class_id) if student == "UNKNOWN" else student
                assert not isinstance(given, str)
                batch.essays[essay_id].decide(status, "human", given, owner)
        for essay in batch.pending if least is not None else ():
            if essay.suggested and least is not None and essay.confidence >= least:
                essay.decide("confirmed", "human", essay.suggested, owner)
        self._close_if_decided(batch_id)
        return totals(batch)

    def _wanted(
        self, batch: Batch, decisions: Sequence[tuple[UUID, bool, UUID | None]]
    ) -> dict[UUID, tuple[str, UUID | str | None]]:
        wanted: dict[UUID, tuple[str, UUID | str | None]] = {}
        for essay_id, confirmed, named in decisions:
            essay = batch.essays.get(essay_id)
            if essay is None:
                raise Refusal("VALIDATION_ERROR")
            target: UUID | str | None = named
            if confirmed:
                # Who was decided for has been deleted since: nobody is left to contradict.
                gone = not essay.pending and essay.student is None
                target = named or essay.suggested or (None if gone else "UNKNOWN")
            # What is decided otherwise is a conflict, unless it names a stranger itself.
            named_newly = named is not None and target != essay.student
            outside = isinstance(target, UUID) and target not in self.members(batch.class_id)
            if outside and (essay.pending or named_newly):
                raise Refusal("VALIDATION_ERROR")
            decision = ("confirmed" if confirmed else "rejected", target)
            if wanted.setdefault(essay_id, decision) != decision:
                raise Refusal("VALIDATION_ERROR")
        return wanted

    def _repeats(self, batch: Batch, essay: Essay, status: str, student: UUID | str | None) -> bool:
        if student == "UNKNOWN":
            student = self.classes[batch.class_id].unknown or "none yet"
        return essay.student == student and essay.kept == (status == "confirmed")

    def correct(self, owner: str, batch_id: UUID, essay_id: UUID, student: UUID | None) -> None:
        batch = self.own_batch(owner, batch_id)
        essay = batch.essays.get(essay_id)
        if essay is None:
            raise Refusal("ESSAY_NOT_FOUND")
        if essay.pending:
            raise Refusal("BATCH_CONFLICT")
        if essay.student == student and essay.kept == (student is not None):
            return
        if student is not None and student not in self.members(batch.class_id):
            raise Refusal("VALIDATION_ERROR")
        batch.clock |= essay.method == "timeout"
        essay.decide("confirmed" if student else "rejected", "human", student, owner)
        self._tell_association(batch_id, essay_id, student)

    def decide_due(self, batch_ids: Iterable[UUID]) -> int:
        """Let the clock decide; return how many essays."""
        decided = 0
        for batch_id in batch_ids:
            batch = self.batches[batch_id]
            due = [essay for essay in batch.pending if essay.due <= self.now]
            for essay in due if not batch.deleted_by else ():
                sure = essay.suggested if essay.confidence >= SURE else None
                student = sure or self._unknown(batch.class_id)
                essay.decide("timeout_confirmed", "timeout", student, SYSTEM_TIMEOUT)
                decided += 1
            self._close_if_decided(batch_id)
        return decided

    def settle(self, class_id: UUID | None = None) -> None:
        """Close what nobody decides any more, since its class, or one of any, is gone."""
        for batch_id, batch in self.batches.items():
            of_class = class_id in {None, batch.class_id}
            if of_class and batch.deleted_by and not batch.closed:
                for essay in batch.pending:
                    essay.decide("rejected", "human", None, batch.deleted_by)
                self._close(batch_id)

    def _unknown(self, class_id: UUID) -> UUID:
        """Return the class's UNKNOWN student, made when first needed."""
        klass = self.classes[class_id]
        if klass.unknown is None:
            self.unknowns += 1
            klass.unknown = UUID(int=UNKNOWN_IDS + self.unknowns)
            told = ("student.created", klass.unknown, ("UNKNOWN", "STUDENT"))
            self.told.append((*told, frozenset({class_id})))
        return klass.unknown

    def _close_if_decided(self, batch_id: UUID) -> None:
        batch = self.batches[batch_id]
        if not batch.closed and not batch.deleted_by and not batch.pending:
            self._close(batch_id)

    def _close(self, batch_id: UUID) -> None:
        batch = self.batches[batch_id]
        batch.closed = True
        essays = frozenset((i, e.student, e.method) for i, e in batch.essays.items())
        by_clock = batch.clock or any(e.method == "timeout" for e in batch.essays.values())
        self.told.append(("batch.confirmed", batch_id, essays, by_clock))

    # --- what is told ---------------------------------------------------------------------------

    def _tell_updated(self, student_id: UUID, joined: set[UUID], left: set[UUID]) -> None:
        told = ("student.updated", student_id, self.pupils[student_id].name)
        self.told.append((*told, frozenset(joined), frozenset(left)))

    def _tell_association(self, batch_id: UUID, essay_id: UUID, student: UUID | None) -> None:
        self.told.append(("association.updated", batch_id, essay_id, student))

    def take_told(self) -> list[tuple[object, ...]]:
        told, self.told = self.told, []
        return told


def totals(batch: Batch) -> tuple[int, int, int]:
    """Return how many essays are confirmed, rejected and pending."""
    kept = sum(essay.kept for essay in batch.essays.values())
    pending = len(batch.pending)
    return kept, len(batch.essays) - kept - pending, pending
