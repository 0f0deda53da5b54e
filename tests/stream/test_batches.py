"""How batches are decided: by teachers, by the clock, by their confidence."""

from uuid import UUID

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher, no, yes
from devstack.rig.kafka import CONFIRMED, DEAD_SUGGESTIONS, TIMED_OUT, Topics
from devstack.rig.suggestions import suggest


async def test_a_teacher_decides_a_batch_and_it_closes_once(
    teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(3)
    first, second, third = roster.student_ids
    batch = suggest(roster.class_id, [(first, 0.9)], [(second, 0.8)], [(second, 0.6)], [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=4)
    one, two, three, four = batch.essay_ids

    half = await teacher.confirm(batch.batch_id, yes(one), no(two))
    assert (half.status, half.json) == (
        200,
        {
            "status": "partially_confirmed",
            "associations_confirmed": 1,
            "associations_rejected": 1,
            "associations_pending": 2,
        },
    )
    rest = [yes(three, third), yes(four, second)]
    whole = await teacher.confirm(batch.batch_id, *rest)
    assert (whole.status, whole.json["status"]) == (200, "confirmed")

    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is False
    assert event.data["validation_summary"] == {
        "total_associations": 4,
        "confirmed": 3,
        "rejected": 1,
        "human": 4,
        "timeout": 0,
        "auto": 0,
    }
    told = {a["essay_id"]: a for a in event.data["associations"]}
    assert {essay: told[essay]["student_id"] for essay in told} == {
        one: first,
        two: None,
        three: third,
        four: second,
    }
    assert {a["validation_method"] for a in told.values()} == {"human"}
    assert {a["validated_by"] for a in told.values()} == {teacher.id}

    again = await teacher.confirm(batch.batch_id, *rest, no(two))
    assert (again.status, again.json) == (200, whole.json)
    for contradiction in (no(one), yes(two), yes(four, third)):
        reply = await teacher.confirm(batch.batch_id, contradiction)
        assert (reply.status, reply.json["error_code"]) == (409, "BATCH_CONFLICT")
    mixed = await teacher.confirm(batch.batch_id, yes(one), no(three))
    assert mixed.status == 409

    await topics.settle()
    assert len(topics.now(CONFIRMED, batch.batch_id)) == 1
    assert topics.now(TIMED_OUT, batch.batch_id) == []


async def test_suggestions_for_a_closed_batch_are_dead_lettered(
    teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(1)
    (student,) = roster.student_ids
    batch = suggest(roster.class_id, [(student, 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)
    assert (await teacher.confirm(batch.batch_id, yes(*batch.essay_ids))).status == 200

    late = suggest(roster.class_id, [(student, 0.9)], batch_id=batch.batch_id)
    await topics.suggest(late)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)
    assert (letter.header("dlt-reason"), letter.value) == ("batch_closed", late.value)
    assert len((await teacher.batch(batch.batch_id)).json["associations"]) == 1
    assert len(await topics.all_of(CONFIRMED, batch.batch_id)) == 1


async def test_further_essays_join_an_open_batch(teacher: Teacher, topics: Topics) -> None:
    roster = await teacher.new_roster(1)
    (student,) = roster.student_ids
    early = suggest(roster.class_id, [(student, 0.9)])
    late = suggest(roster.class_id, [(student, 0.5)], batch_id=early.batch_id)
    await topics.suggest(early)
    await topics.suggest(late)
    await teacher.stored(early.batch_id, essays=2)

    reply = await teacher.confirm(early.batch_id, yes(*early.essay_ids))
    assert reply.json["status"] == "partially_confirmed"
    reply = await teacher.confirm(early.batch_id, no(*late.essay_ids))
    assert reply.json["status"] == "confirmed"
    (event,) = await topics.all_of(CONFIRMED, early.batch_id)
    assert len(event.data["associations"]) == 2


async def test_a_batch_decided_half_by_a_teacher_and_half_by_the_clock_closes_once(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    roster = await teacher.new_roster(2)
    first, second = roster.student_ids
    batch = suggest(roster.class_id, [(first, 0.9)], [(second, 0.9)], [(second, 0.8)], [])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=4)
    one, two, three, four = batch.essay_ids
    reply = await teacher.confirm(batch.batch_id, yes(one, second), no(two))
    assert reply.json["status"] == "partially_confirmed"

    await database.elapse(batch.batch_id)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    assert event.data["timeout_triggered"] is True
    assert event.data["validation_summary"] == {
        "total_associations": 4,
        "confirmed": 3,
        "rejected": 1,
        "human": 2,
        "timeout": 2,
        "auto": 0,
    }
    told = {a["essay_id"]: a for a in event.data["associations"]}
    methods = {essay: told[essay]["validation_method"] for essay in told}
    assert methods == {one: "human", two: "human", three: "timeout", four: "timeout"}
    assert (told[one]["student_id"], told[one]["validated_by"]) == (second, teacher.id)
    assert (told[three]["student_id"], told[three]["validated_by"]) == (second, "SYSTEM_TIMEOUT")
    timeout = await topics.expect_one(TIMED_OUT, batch.batch_id)
    kept = [a["essay_id"] for a in timeout.data["auto_confirmed_associations"]]
    assert (kept, timeout.data["guest_essays"]) == ([three], [four])

    assert (await teacher.confirm(batch.batch_id, yes(one, second), yes(three))).status == 200
    assert (await teacher.confirm(batch.batch_id, no(three))).status == 409
    await topics.settle()
    assert len(topics.now(CONFIRMED, batch.batch_id)) == 1
    assert len(topics.now(TIMED_OUT, batch.batch_id)) == 1
    assert await database.decided_early(batch.batch_id) == []


async def test_what_reaches_the_threshold_is_confirmed_without_anyone(
    teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(1)
    (student,) = roster.student_ids
    certain = suggest(roster.class_id, [(student, 0.99)], [(student, 1.0)])
    await topics.suggest(certain)
    event = await topics.expect_one(CONFIRMED, certain.batch_id)
    assert event.data["timeout_triggered"] is False
    assert event.data["validation_summary"]["auto"] == 2
    for association in event.data["associations"]:
        assert association["validation_method"] == "auto"
        assert association["student_id"] == student
    assert await topics.all_of(TIMED_OUT, certain.batch_id) == []


async def test_what_the_threshold_leaves_open_waits_for_the_teacher(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    roster = await teacher.new_roster(1)
    (student,) = roster.student_ids
    batch = suggest(roster.class_id, [(student, 0.99)], [(student, 0.98)])
    await topics.suggest(batch)
    certain, likely = await teacher.stored(batch.batch_id, essays=2)
    if certain["essay_id"] != batch.essay_ids[0]:
        certain, likely = likely, certain
    assert (certain["validation_status"], certain["validation_method"]) == ("confirmed", "auto")
    assert likely["validation_status"] == "pending_validation"
    closed = "select closed_at is not null from batches where id = $1"
    assert await database.value(closed, UUID(batch.batch_id)) is False

    assert (await teacher.confirm(batch.batch_id, yes(likely["essay_id"]))).status == 200
    (event,) = await topics.all_of(CONFIRMED, batch.batch_id)
    methods = {a["essay_id"]: a["validation_method"] for a in event.data["associations"]}
    assert methods == {certain["essay_id"]: "auto", likely["essay_id"]: "human"}


async def test_a_batch_with_nothing_to_decide_closes_at_once(
    teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(1)
    first = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(first)
    await teacher.stored(first.batch_id)
    # Others have been at this worker before.
    before = await closed_and_elsewhere(teacher.http)
    empty = suggest(roster.class_id)
    again = suggest(roster.class_id)
    again.envelope["data"]["match_results"] = first.envelope["data"]["match_results"]
    for batch in (empty, again):
        await topics.suggest(batch)
        event = await topics.expect_one(CONFIRMED, batch.batch_id)
        assert (event.data["class_id"], event.data["associations"]) == (roster.class_id, [])
        assert event.data["validation_summary"]["total_associations"] == 0
        assert event.data["timeout_triggered"] is False
        assert len(await topics.all_of(CONFIRMED, batch.batch_id)) == 1
    after = await closed_and_elsewhere(teacher.http)
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


async def closed_and_elsewhere(http: Http) -> tuple[float, float]:
    """Return how many messages closed their batch, and how many essays were another one's."""
    closed = await http.metric("messages_total", agent="suggestions", outcome="closed")
    return closed, await http.metric("essays_elsewhere_total")


async def test_the_open_batches_of_a_deleted_class_close_with_one_event_each(
    teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(2)
    first, second = roster.student_ids
    batches = [suggest(roster.class_id, [(first, 0.9)], [(second, 0.8)], []) for _ in range(3)]
    for batch in batches:
        await topics.suggest(batch)
        await teacher.stored(batch.batch_id, essays=3)
    half = batches[0]
    await teacher.confirm(half.batch_id, yes(half.essay_ids[0]))
    reply = await teacher.send("DELETE", f"/v1/classes/{roster.class_id}")
    assert reply.status == 204
    assert (await teacher.batch(half.batch_id)).status == 404
    for batch in batches:
        event = await topics.expect_one(CONFIRMED, batch.batch_id)
        assert (event.data["class_id"], event.data["course_code"]) == (roster.class_id, "SV1")
        told = {one["essay_id"]: one for one in event.data["associations"]}
        assert told.keys() == set(batch.essay_ids)
        assert {one["validated_by"] for one in told.values()} == {teacher.id}
        kept = [one["student_id"] for one in told.values() if one["student_id"]]
        assert kept == [first] * (batch is half)
    late = suggest(roster.class_id, [(first, 0.9)], batch_id=half.batch_id)
    await topics.suggest(late)
    (letter,) = await topics.expect(DEAD_SUGGESTIONS, half.batch_id)
    assert letter.header("dlt-reason") == "class_deleted"
    assert len(await topics.all_of(CONFIRMED, half.batch_id)) == 1


async def test_a_student_who_has_left_is_nobodys_choice(
    teacher: Teacher, topics: Topics, database: Database
) -> None:
    roster = await teacher.new_roster(2)
    gone, stays = roster.student_ids
    batch = suggest(roster.class_id, [(gone, 0.9)], [(stays, 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id, essays=2)
    leaving = {"remove_class_ids": [roster.class_id]}
    await teacher.done("PUT", f"/v1/classes/students/{gone}", leaving)
    reply = await teacher.confirm(batch.batch_id, yes(batch.essay_ids[0], gone))
    assert (reply.status, [error["pointer"] for error in reply.json["errors"]]) == (
        400,
        ["/associations/0/student_id"],
    )
    await database.elapse(batch.batch_id)
    event = await topics.expect_one(CONFIRMED, batch.batch_id)
    given = {one["essay_id"]: one["student_id"] for one in event.data["associations"]}
    assert given[batch.essay_ids[0]] not in (gone, stays)
    assert given[batch.essay_ids[1]] == stays
