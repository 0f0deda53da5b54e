"""Suggestions that come before the class or the student that they name."""

from uuid import uuid4

from devstack.rig.database import Database
from devstack.rig.http import Teacher
from devstack.rig.kafka import DEAD_SUGGESTIONS, NOTIFICATIONS, Topics
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until


async def parked(database: Database, batch_id: str, count: int = 1) -> None:
    """Wait until so many messages of a batch wait for what they name, as long as it takes."""

    async def look() -> bool:
        found = await database.value(
            "select count(*) from parked where batch_id = $1::text::uuid", batch_id
        )
        return bool(found == count)

    await until(f"{count} parked messages of {batch_id}", look)
    await database.keep_parked(batch_id)


async def test_a_class_made_within_the_retry_time_gets_its_suggestions_in_order(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    class_id = str(uuid4())
    first = suggest(class_id, [])
    second = suggest(class_id, [], [], batch_id=first.batch_id)
    await topics.suggest(first)
    await topics.suggest(second)
    await parked(database, first.batch_id, 2)
    # Nobody waits behind those that wait.
    other = suggest(await teacher.new_class(), [])
    await topics.suggest(other, key=first.batch_id)
    await teacher.stored(other.batch_id)

    await database.insert_class(class_id, teacher.id)
    await teacher.stored(first.batch_id, essays=3)
    await topics.settle()
    told = [m.data for m in topics.now(NOTIFICATIONS, teacher.id)]
    counts = [m["payload"]["unmatched_count"] for m in told if m["batch_id"] == first.batch_id]
    assert counts == [1, 2]
    assert topics.now(DEAD_SUGGESTIONS, first.batch_id) == []


async def test_a_student_made_within_the_retry_time_is_matched(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    roster = await teacher.new_roster(1)
    late = str(uuid4())
    batch = suggest(roster.class_id, [(late, 0.9), (roster.student_ids[0], 0.8)])
    await topics.suggest(batch)
    await parked(database, batch.batch_id)
    assert (await teacher.batch(batch.batch_id)).status == 404

    await database.insert_student(late, teacher.id, roster.class_id)
    (association,) = await teacher.stored(batch.batch_id)
    assert association["suggested_student_id"] == late
    assert association["confidence_score"] == 0.9


async def test_what_never_comes_is_given_up(teacher: Teacher, topics: Topics) -> None:
    classless = suggest(str(uuid4()), [])
    headers = (("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),)
    partition, offset = await topics.send(classless.value, classless.batch_id, headers)
    unmatched = suggest(await teacher.new_class(), [(str(uuid4()), 0.95)])
    await topics.suggest(unmatched)

    (letter,) = await topics.expect(DEAD_SUGGESTIONS, classless.batch_id)
    assert letter.header("dlt-reason") == "class_not_found"
    assert (letter.value, letter.headers[:1]) == (classless.value, headers)
    assert letter.header("dlt-partition") == str(partition)
    assert letter.header("dlt-offset") == str(offset)
    assert (await teacher.batch(classless.batch_id)).status == 404

    (association,) = await teacher.stored(unmatched.batch_id)
    assert association["suggested_student_id"] is None
    assert association["confidence_score"] == 0
    assert association["validation_status"] == "pending_validation"
    await topics.settle()
    assert len(topics.now(DEAD_SUGGESTIONS, classless.batch_id)) == 1
    assert topics.now(DEAD_SUGGESTIONS, unmatched.batch_id) == []


async def test_a_student_of_another_teacher_is_not_waited_for(
    teacher: Teacher, topics: Topics
) -> None:
    stranger = await teacher.http.teacher().new_roster(1)
    roster = await teacher.new_roster(1)
    foreign, own = stranger.student_ids[0], roster.student_ids[0]
    batch = suggest(roster.class_id, [(foreign, 0.95), (own, 0.75)], [(foreign, 0.95)])
    await topics.suggest(batch)
    one, two = await teacher.stored(batch.batch_id, essays=2)
    if one["essay_id"] != batch.essay_ids[0]:
        one, two = two, one
    assert (one["suggested_student_id"], one["confidence_score"]) == (own, 0.75)
    assert (two["suggested_student_id"], two["confidence_score"]) == (None, 0)
