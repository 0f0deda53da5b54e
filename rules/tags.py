"""Tags: what is different has a different one, and the same has the same in every process.

A tag is made of an answer's JSON, so that nothing can change in it unnoticed: that of a class has
its students, whose rows change without the class's, and their other classes. A request that depends
on a tag (rules.conditions) has it made again, of what is read under its locks.

XXH3 takes 1 us for a class of 30, where BLAKE2 takes 35 and SHA-256 70. It is no secure digest, and
need not be: who could make two answers with one tag has written both.
"""

from xxhash import xxh3_128, xxh3_128_hexdigest

from rules.documents import association_json, class_detail_json, student_json, whole_batch_json
from rules.events.envelopes import to_json
from rules.imports.documents import import_json
from rules.imports.plans import ImportRecord
from rules.models import AssociationView, BatchView, ClassDetail, StudentRecord


class Tagger:
    """Makes the tag of an answer's JSON, in UTF-8, of which it is given one piece after another."""

    def __init__(self) -> None:
        self._digest = xxh3_128()

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        self._digest.update(piece)

    @property
    def tag(self) -> str:
        """The tag of all pieces."""
        return self._digest.hexdigest()


def tag_of(body: bytes) -> str:
    """Return the tag of an answer's JSON, in UTF-8."""
    return xxh3_128_hexdigest(body)


def class_tag(detail: ClassDetail) -> str:
    """Return the tag of a class with its students."""
    return tag_of(to_json(class_detail_json(detail)))


def student_tag(record: StudentRecord) -> str:
    """Return the tag of a student."""
    return tag_of(to_json(student_json(record)))


def association_tag(view: AssociationView) -> str:
    """Return the tag of one association."""
    return tag_of(to_json(association_json(view)))


def batch_tag(batch: BatchView) -> str:
    """Return the tag of a batch's whole list of associations."""
    associations = [association_json(view) for view in batch.associations]
    return tag_of(to_json(whole_batch_json(batch, associations)))


def import_tag(record: ImportRecord) -> str:
    """Return the tag of an import."""
    return tag_of(to_json(import_json(record)))
