"""Who reads the changes knows what there is, and what Kafka's events tell."""

from collections.abc import Iterator, Mapping
from typing import Any

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.told import Thing, Told
from faults.world import ClassRow, EssayRow, StudentRow, World
from rules import topics

#: The topics of what was made and what is gone.
_OF_KAFKA = {
    "class": (topics.CLASS_CREATED, topics.CLASS_DELETED),
    "student": (topics.STUDENT_CREATED, topics.STUDENT_DELETED),
}


def check(index: Index) -> Iterator[Finding]:
    """Compare what was told with the rows and with the events."""
    told = index.world.told
    if told is None:
        return
    for fault in told.faults:
        yield Finding(Kind.DIVERGED, f"changes: {fault}")
    there = dict(_there(index.world))
    for thing in told.things.keys() | there.keys():
        yield from _compared(thing, told.things.get(thing), there.get(thing))
    yield from _beside_kafka(index, told)


def _compared(
    thing: Thing, known: Mapping[str, Any] | None, row: Mapping[str, Any] | None
) -> Iterator[Finding]:
    if known is None:
        yield Finding(Kind.DIVERGED, f"{thing} is there, and was not told")
    elif row is None:
        yield Finding(Kind.DIVERGED, f"{thing} was told, and is not there")
    elif wrong := [name for name, value in row.items() if known.get(name) != value]:
        yield Finding(Kind.DIVERGED, f"{thing} was told with another {', '.join(wrong)}")


def _there(world: World) -> Iterator[tuple[Thing, Mapping[str, Any]]]:
    """Yield what there is, with the members that are told."""
    for row in world.classes.values():
        yield ("class", row.id, None), _class(row)
    for student in world.students.values():
        yield ("student", student.id, None), _student(student)
    for class_id, student_id in world.enrollments:
        yield ("enrollment", student_id, class_id), {"class_id": class_id}
    for essay in world.essays.values():
        yield ("association", essay.essay_id, None), _essay(essay)


def _class(row: ClassRow) -> Mapping[str, Any]:
    return {
        "name": row.name,
        "course_code": row.course,
        "version": row.version,
        "owner": row.owner,
    }


def _student(row: StudentRow) -> Mapping[str, Any]:
    return {
        "first_name": row.first_name,
        "last_name": row.last_name,
        "email": row.email,
        "is_placeholder": row.is_placeholder,
        "version": row.version,
        "owner": row.owner,
    }


def _essay(row: EssayRow) -> Mapping[str, Any]:
    return {
        "batch_id": row.batch_id,
        "suggested_student_id": row.suggested_student_id,
        "confidence_score": row.confidence,
        "student_id": row.student_id,
        "validation_status": row.status,
        "validation_method": row.method,
        "validated_by": row.validated_by,
    }


def _beside_kafka(index: Index, told: Told) -> Iterator[Finding]:
    """Compare what there is with what a consumer of the events has."""
    for entity, (created, deleted) in _OF_KAFKA.items():
        made, gone = (
            {event.text_key for event in index.world.events(topic)} for topic in (created, deleted)
        )
        known = {one for kind, one, _ in told.things if kind == entity}
        for one in known ^ (made - gone):
            teller = "the changes" if one in known else "Kafka"
            yield Finding(Kind.DIVERGED, f"{entity} {one} is told to be there by {teller} alone")
