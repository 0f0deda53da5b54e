"""A teacher's day, played with the client against a running service.

    python docs/examples/teachers_day.py http://127.0.0.1:5002

It makes a class and its students, has match suggestions sent for it, decides, and clears up.
"""

import asyncio
import sys
from collections.abc import Sequence
from uuid import UUID, uuid4

from class_management_client import (
    Association,
    Batch,
    BatchAssociations,
    Class,
    ClassManagement,
    ConflictError,
    Decision,
    EmailTakenError,
    PersonName,
    Student,
)
from suggest import send_suggestions, servers

PUPILS = (("Åsa", "Öberg"), ("Bo", "Ek"), ("Chimamanda", "Adichie"))
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.5


async def main(address: str) -> None:
    """Play the day, as a teacher that nobody has been before."""
    async with ClassManagement(address, f"teacher-{uuid4()}") as service:
        created, pupils = await morning(service)
        sent = [(pupils[0].id, 0.93), (pupils[1].id, 0.55), None]
        batch_id = await send_suggestions(servers(), created.id, sent)
        async with asyncio.timeout(PATIENCE_SECONDS):
            batch = await until_here(service, batch_id)
        await afternoon(service, batch, pupils)
        await evening(service, created)


async def morning(service: ClassManagement) -> tuple[Class, Sequence[Student]]:
    """Make a class and its students."""
    created = await service.classes.create("7A", "SV1")
    pupils = [
        await service.students.create(
            PersonName(first_name=first, last_name=last),
            f"pupil{number}@school.example",
            [created.id],
        )
        for number, (first, last) in enumerate(PUPILS)
    ]
    print(f"class {created.name} has {len(await service.classes.roster(created.id))} students")
    await an_address_twice(service, pupils[0])
    return created, pupils


async def an_address_twice(service: ClassManagement, pupil: Student) -> None:
    """Find out whose an address is already."""
    try:
        await service.students.create(PersonName(first_name="Åse"), pupil.email)
    except EmailTakenError as error:
        if error.student_id is not None:
            other = await service.students.get(error.student_id)
            print(f"that address is {other.full_name}'s")


async def until_here(service: ClassManagement, batch_id: UUID) -> Batch:
    """Wait until a batch is in the list of what there is to decide."""
    while True:
        async for batch in service.batches.all("pending"):
            if batch.batch_id == batch_id:
                print(f"{batch.associations_pending} essays of {batch.class_name} to decide")
                return batch
        await asyncio.sleep(POLL_SECONDS)


async def afternoon(service: ClassManagement, listed: Batch, pupils: Sequence[Student]) -> None:
    """Decide whose the essays are."""
    batch = await service.batches.get(listed.batch_id)
    sure = await service.batches.confirm(batch.batch_id, suggested_from=0.9, if_match=batch.tag)
    print(f"confirmed {sure.associations_confirmed}, {sure.associations_pending} to look at")
    batch = await service.batches.get(batch.batch_id, batch)
    first, second = (essay for essay in batch.associations if essay.is_pending)
    decisions = [Decision(first.essay_id), Decision(second.essay_id, pupils[2].id)]
    done = await service.batches.confirm(batch.batch_id, decisions)
    print(f"the batch is {done.status}")
    await second_thoughts(service, batch, first, pupils[2])


async def second_thoughts(
    service: ClassManagement, batch: BatchAssociations, essay: Association, pupil: Student
) -> None:
    """Change a decision, which takes a correction."""
    try:
        await service.batches.confirm(batch.batch_id, [Decision(essay.essay_id, pupil.id)])
    except ConflictError:
        await service.batches.correct(batch.batch_id, essay.essay_id, pupil.id)
    past = await service.batches.history(batch.batch_id, essay.essay_id)
    print(f"{essay.filename} was decided {len(past)} times, the last time by hand")


async def evening(service: ClassManagement, created: Class) -> None:
    """Rename the class by what it is called, and delete it."""
    renamed = await service.classes.edit(created.id, lambda found: {"name": f"{found.name} (old)"})
    ends = await service.classes.what_deleting_ends(renamed.id)
    await service.classes.delete(renamed.id)
    print(f"{renamed.name} is gone, and {ends.batches_open} open batches with it")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
