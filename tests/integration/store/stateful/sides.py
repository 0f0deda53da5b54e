"""A store beside the model: what it answers and publishes, in the model's words."""

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from rules import topics
from rules.batches import BatchQuery, BatchSummary
from rules.models import AssociationView, BatchView, StudentRecord
from rules.search import StudentQuery
from tests.integration.store.builders import Published, Stores, classes_of
from tests.integration.store.stateful.model import Batch, Essay, Past, School

DEAD: Final = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)

Told: TypeAlias = tuple[object, ...]
View: TypeAlias = dict[str, Any]


@dataclass
class Side:
    """One store, and which of its ids is which UNKNOWN student of the model."""

    stores: Stores
    real: dict[UUID, UUID] = field(default_factory=dict)
    known: dict[UUID, UUID] = field(default_factory=dict)

    def to_real(self, student_id: UUID | None) -> UUID | None:
        return self.real.get(student_id, student_id) if student_id else None

    def to_model(self, student_id: UUID | None) -> UUID | None:
        return self.known.get(student_id, student_id) if student_id else None

    # --- what was published ---------------------------------------------------------------------

    async def take_told(self, school: School) -> tuple[list[Told], list[str]]:
        """Return the events since the last call, and the reasons of dead letters."""
        published = await self.stores.published()
        for one in published:
            if one.topic == topics.STUDENT_CREATED:
                self._learn(one.data, school)
        told = [found for one in published if (found := self._told(one))]
        return told, [reason_of(one) for one in published if one.topic == DEAD]

    def _learn(self, data: View, school: School) -> None:
        """Note which of the store's students is which UNKNOWN student of the model."""
        email = data["student_email"] or ""
        if email.startswith("unknown.") and email.endswith("@huleedu.system"):
            [class_id] = data["class_ids"]
            unknown = school.classes[UUID(class_id)].unknown
            assert unknown is not None, "an UNKNOWN student that nobody needs"
            student_id = UUID(data["student_id"])
            self.real[unknown], self.known[student_id] = student_id, unknown

    def _told(self, one: Published) -> Told | None:
        """Return an event in the model's words, None for what it says nothing about."""
        read = {
            topics.CLASS_CREATED: class_told,
            topics.CLASS_UPDATED: class_told,
            topics.CLASS_DELETED: class_told,
            topics.STUDENT_CREATED: self._student_told,
            topics.STUDENT_UPDATED: self._student_told,
            topics.STUDENT_DELETED: self._student_told,
            topics.ASSOCIATION_UPDATED: self._correction_told,
            topics.ASSOCIATIONS_CONFIRMED: self._closing_told,
        }.get(one.topic)
        return read(one.data) if read else None

    def _student_told(self, data: View) -> Told:
        told: Told = data["event"], self._student(data)
        if "first_name" in data:
            told = *told, (data["first_name"], data["last_name"])
        moves = ("class_ids", "add_class_ids", "remove_class_ids")
        return *told, *(ids(data[name]) for name in moves if name in data)

    def _correction_told(self, data: View) -> Told:
        batch_id, essay_id = UUID(data["batch_id"]), UUID(data["essay_id"])
        return "association.updated", batch_id, essay_id, self._student(data)

    def _closing_told(self, data: View) -> Told:
        essays = frozenset(
            (UUID(a["essay_id"]), self._student(a), a["validation_method"])
            for a in data["associations"]
        )
        return "batch.confirmed", UUID(data["batch_id"]), essays, data["timeout_triggered"]

    def _student(self, data: View) -> UUID | None:
        return self.to_model(UUID(data["student_id"])) if data["student_id"] else None

    async def remembered(self) -> dict[object, list[Any]]:
        """Return what is remembered of each entity, in order, in the model's ids."""
        found: defaultdict[object, list[Any]] = defaultdict(list)
        for one in await self.stores.past.changes():
            told = one.kind, one.by, str(one.class_id), one.version, one.before, one.after
            text = orjson.dumps(told).decode()
            for real, known in self.known.items():
                text = text.replace(str(real), str(known))
            entity, student_id, class_id = one.key
            found[entity, self.to_model(student_id), class_id].append(orjson.loads(text))
        return dict(found)

    # --- what can be read -----------------------------------------------------------------------

    async def view(self, owners: Sequence[str], school: School) -> View:
        """Return everything that can be asked for and that the model knows."""
        found: View = {}
        for owner in owners:
            classes = await classes_of(self.stores, owner)
            found[f"classes of {owner}"] = {
                c.id: (c.name, c.course_code, c.student_count) for c in classes
            }
            for one in classes:
                found[f"class {one.id}"] = await self._class(owner, one.id)
            page = await self.stores.classes.find_students(owner, StudentQuery(limit=100))
            found[f"students of {owner}"] = {
                s.id: student_view(s) for s in page.students if not s.is_placeholder
            }
            listed = await self.stores.associations.list_batches(owner, BatchQuery(limit=100))
            found[f"batches of {owner}"] = {b.batch_id: batch_line(b) for b in listed.batches}
            for line in listed.batches:
                batch = await self.stores.associations.get_batch(owner, line.batch_id)
                found[f"batch {batch.batch_id}"] = self._batch(batch)
                for essay_id in corrected(school.batches[batch.batch_id]):
                    past = await self.history(owner, batch.batch_id, essay_id)
                    found[f"past of {essay_id}"] = past
        for batch_id in school.batches:
            names = await self.stores.queries.student_names(batch_id)
            found[f"names of {batch_id}"] = {n.essay_id: self.to_model(n.student_id) for n in names}
        return found

    async def history(self, owner: str, batch_id: UUID, essay_id: UUID) -> list[Past]:
        """Return all decisions on an essay, oldest first."""
        found = await self.stores.associations.history(owner, batch_id, essay_id)
        return [
            (one.by, one.method.value, self.to_model(one.student_id), one.status.value)
            for one in found
        ]

    async def _class(self, owner: str, class_id: UUID) -> View:
        document = await self.stores.classes.class_document(owner, class_id)
        roster = orjson.loads(await self.stores.classes.roster_document(class_id, owner))
        detail = orjson.loads(document)
        return {
            "roster": {UUID(s["student_id"]) for s in roster["students"]},
            "students": {self.to_model(UUID(s["id"])) for s in detail["students"]},
            "count": detail["student_count"],
        }

    def _batch(self, batch: BatchView) -> View:
        return {
            "class": batch.class_id,
            "closed": batch.closed_at is not None,
            "essays": {a.association.essay_id: self.essay(a) for a in batch.associations},
        }

    def essay(self, view: AssociationView) -> Told:
        one = view.association
        return (
            one.suggested_student_id,
            self.to_model(one.student_id),
            one.status.value,
            one.method and one.method.value,
            one.validated_by,
            one.confidence,
            view.student_name is not None,
            [suggestion.student_id for suggestion in one.suggestions],
        )


def reason_of(letter: Published) -> str:
    """Return why a message is a dead letter; other headers of it need not be text."""
    return dict(letter.message.headers)["dlt-reason"].decode()


def class_told(data: View) -> Told:
    name = (data["class_designation"],) if "class_designation" in data else ()
    return data["event"], UUID(data["class_id"]), *name


def corrected(batch: Batch) -> list[UUID]:
    """Return the essays of a batch with more than one decision."""
    return [one for one, essay in batch.essays.items() if len(essay.past) > 1]


def ids(found: Sequence[str]) -> frozenset[UUID]:
    return frozenset(map(UUID, found))


def student_view(one: StudentRecord) -> Told:
    return (one.name.first_name, one.name.last_name), one.email, frozenset(one.class_ids)


def batch_line(one: BatchSummary) -> Told:
    return (
        one.class_id,
        one.state.value,
        one.total,
        one.pending,
        one.unmatched,
    )


# --- the same, of the model ----------------------------------------------------------------------


def model_view(owners: Sequence[str], school: School) -> View:
    """Return what `Side.view` has to return."""
    found: View = {}
    for owner in owners:
        classes = {i: k for i, k in school.classes.items() if k.owner == owner}
        found[f"classes of {owner}"] = {
            i: (k.name, k.course, len(school.members(i) - {k.unknown})) for i, k in classes.items()
        }
        for class_id, klass in classes.items():
            members = school.members(class_id)
            roster = members - {klass.unknown}
            found[f"class {class_id}"] = {
                "roster": roster,
                "students": members,
                "count": len(roster),
            }
        found[f"students of {owner}"] = {
            i: (p.name, p.email, frozenset(p.classes))
            for i, p in school.pupils.items()
            if p.owner == owner
        }
        batches = {
            i: b
            for i, b in school.batches.items()
            if not b.deleted_by and school.classes[b.class_id].owner == owner
        }
        found[f"batches of {owner}"] = {
            i: (
                b.class_id,
                "closed" if b.closed else "pending",
                len(b.essays),
                len(b.pending),
                sum(essay.suggested is None for essay in b.pending),
            )
            for i, b in batches.items()
        }
        for batch_id, batch in batches.items():
            found |= {f"past of {i}": batch.essays[i].past for i in corrected(batch)}
            found[f"batch {batch_id}"] = {
                "class": batch.class_id,
                "closed": batch.closed,
                "essays": {
                    i: essay_view(e, school.members(batch.class_id))
                    for i, e in batch.essays.items()
                },
            }
    for batch_id, batch in school.batches.items():
        found[f"names of {batch_id}"] = {
            i: e.student for i, e in batch.essays.items() if not e.pending and e.student
        }
    return found


def essay_view(one: Essay, members: AbstractSet[UUID]) -> Told:
    named = (one.student or one.suggested) is not None
    return (
        one.suggested,
        one.student,
        one.status,
        one.method,
        one.by,
        one.confidence,
        named,
        [student for student, _ in one.suggestions if student in members],
    )
