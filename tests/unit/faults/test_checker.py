"""The checker says nothing of a world that is whole, and the right thing of one that is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from faults.checker import Kind, check
from faults.checker.index import identity
from faults.history import Op, Outcome
from faults.sender import FLOOD_TOPIC
from faults.world import ClassRow, StudentRow, World
from rules import topics
from tests.unit.faults.small_world import IMPORTER, NOON, OWNER, SmallWorld


def made() -> SmallWorld:
    """Return a history with something of everything, and its world."""
    it = SmallWorld()
    one = it.new_class()
    it.rename(one)
    it.lost(it.rename(one))
    it.again(it.rename(one))
    it.command(one, times=2)
    it.new_class()
    it.lost(it.history.ops[-1])
    it.op("class.update", one, Outcome.NEVER, name="nobody heard")
    it.poison(b"\xff{")
    it.bad_timer()
    it.damaged()
    it.damaged(topics.TIMERS)
    it.history.probe("hot_batch", "others", it.time, None)
    it.batch(one)
    student = it.new_student(one)
    it.sure_batch(one, student)
    it.decided_batch(one, student)
    it.flood()
    imported = it.imported_class()
    it.imported("class.update", imported, "rejected", class_id=imported, course_codes=["MA1"])
    more_of_it(it, one)
    return it


def more_of_it(it: SmallWorld, one: str) -> None:
    """Add classes that are deleted, students that join, leave and are merged, and corrections."""
    second = it.imported_class()
    student = it.imported_student(second)
    it.joined(student, it.imported_class())
    it.deleted_class()
    gone = next(op.target for op in it.history.ops if op.kind == "class.delete")
    refused(it, it.op("class.update", gone, name="too late"), 404)
    it.empty_batch(one)
    it.empty_batch(one, [next(iter(it.essays))])
    leaver, kept, other = it.new_student(one), it.new_student(one), it.new_student(one)
    it.leave(leaver, one)
    it.left_again(student, it.imported_class())
    it.decided_batch(one, other)
    it.correct(corrected(it, other), kept)
    it.correct(corrected(it, kept), None)
    it.decided_batch(one, other, essays=1)
    it.merge(other, kept)
    it.correct(essay_of(it, "timeout"), kept)
    it.sure_batch(one, kept)
    it.decided_batch(one, kept)


def refused(it: SmallWorld, op: Op, status: int) -> Op:
    """Have a request refused, of which nothing is kept."""
    op.outcome, op.status, op.answer = Outcome.REFUSED, status, {}
    op.attempts[-1].outcome, op.attempts[-1].status = op.outcome, status
    del it.keys[op.id]
    return op


def corrected(it: SmallWorld, student: str) -> str:
    """Return an essay of a student."""
    return next(e.essay_id for e in it.essays.values() if e.student_id == student)


def found(it: SmallWorld, world: World | None = None) -> set[Kind]:
    return {finding.kind for finding in check(it.history, world or it.world())}


def test_a_whole_world_has_no_findings() -> None:
    it = made()
    assert check(it.history, it.world()) == []


def test_what_is_still_unknown_is_found() -> None:
    it = made()
    it.op("class.create", None, Outcome.UNKNOWN, name="maybe")
    assert found(it) == {Kind.STUCK}


def test_an_event_that_comes_again_is_nothing() -> None:
    it = made()
    for topic in (topics.CLASS_UPDATED, topics.COMMAND_RESULTS, topics.ASSOCIATIONS_CONFIRMED):
        again = it.messages[topic][0]
        it.messages[topic].append(replace(again, offset=len(it.messages[topic])))
    assert not found(it)


@pytest.mark.parametrize(
    "topic",
    [
        topics.CLASS_UPDATED,
        topics.COMMAND_RESULTS,
        topics.ASSOCIATIONS_CONFIRMED,
        topics.TIMEOUT_PROCESSED,
        topics.NOTIFICATION_REQUESTED,
        topics.dead_letter_topic(COMMANDS),
    ],
)
def test_what_is_set_aside_is_left_over_and_not_lost(topic: str) -> None:
    it = made()
    aside = it.messages[topic].pop()
    assert Kind.LOST in found(it)
    it.set_aside.append(replace(aside, partition=-1, offset=7))
    findings = check(it.history, it.world())
    assert {finding.kind for finding in findings} == {Kind.STUCK}
    assert [aside.event_id in finding.what for finding in findings] == [True]


# --- one break each ----------------------------------------------------------------------------


def no_row(it: SmallWorld) -> None:
    del it.classes[it.history.ops[0].target or ""]


def no_event(it: SmallWorld) -> None:
    del it.messages[topics.CLASS_UPDATED][0]


def no_essay(it: SmallWorld) -> None:
    it.essays.popitem()


def not_in_inbox(it: SmallWorld) -> None:
    del it.inbox[it.messages[SUGGESTIONS][0].event_id]


def no_result(it: SmallWorld) -> None:
    it.messages[topics.COMMAND_RESULTS].pop()


def no_dead_letter(it: SmallWorld) -> None:
    it.messages[topics.dead_letter_topic(COMMANDS)].clear()


def kafka_lost_it(it: SmallWorld) -> None:
    it.messages[COMMANDS].pop()


def no_closing_event(it: SmallWorld) -> None:
    it.messages[topics.ASSOCIATIONS_CONFIRMED].clear()


def good_message_buried(it: SmallWorld) -> None:
    it.bury(it.messages[SUGGESTIONS][0], "refused_by_database")


def told_twice(it: SmallWorld) -> None:
    it.told(next(op for op in it.history.ops if op.kind == "class.update"))


def answered_twice(it: SmallWorld) -> None:
    first = it.messages[topics.COMMAND_RESULTS][0]
    it.result(first.text_key, first.correlation_id, "duplicate")


def applied_twice(it: SmallWorld) -> None:
    first, second, *others = it.messages[topics.COMMAND_RESULTS]
    it.messages[topics.COMMAND_RESULTS] = [first, *others]
    it.result(second.text_key, second.correlation_id, "applied")


def closed_twice(it: SmallWorld) -> None:
    first = it.messages[topics.ASSOCIATIONS_CONFIRMED][0]
    data = first.data
    it.event(topics.ASSOCIATIONS_CONFIRMED, first.text_key, first.correlation_id, **data)


def notified_twice(it: SmallWorld) -> None:
    record = it.messages[SUGGESTIONS][0]
    it.notified("student_matches_suggested", record.correlation_id, record.text_key)


def swapped(it: SmallWorld) -> None:
    one, two, *others = it.messages[topics.CLASS_UPDATED]
    it.messages[topics.CLASS_UPDATED] = [two, one, *others]


def not_as_told(it: SmallWorld) -> None:
    one = next(iter(it.classes))
    it.classes[one] = replace(it.classes[one], name="something else")


def decided_early(it: SmallWorld) -> None:
    for one, essay in it.essays.items():
        it.essays[one] = replace(essay, validated_at=essay.confirm_by - timedelta(milliseconds=1))


def short_wait(it: SmallWorld) -> None:
    for one, essay in it.essays.items():
        it.essays[one] = replace(essay, confirm_by=NOON + timedelta(seconds=1))


def closed_while_pending(it: SmallWorld) -> None:
    one = next(iter(it.essays))
    it.essays[one] = replace(
        it.essays[one], status="pending_validation", method=None, validated_at=None
    )


def left_open(it: SmallWorld) -> None:
    one = next(iter(it.batches))
    it.batches[one] = replace(it.batches[one], closed_at=None)
    it.messages[topics.ASSOCIATIONS_CONFIRMED].clear()


def closed_by_nobody(it: SmallWorld) -> None:
    one = next(iter(it.batches))
    it.batches[one] = replace(it.batches[one], closed_at=NOON + timedelta(hours=1))


def row_of_nobody(it: SmallWorld) -> None:
    it.classes["x"] = ClassRow("x", "lärare", "nobody asked", "SV1", 1)
    it.event(topics.CLASS_CREATED, "x", "nobody", class_designation="nobody asked")


def event_without_commit(it: SmallWorld) -> None:
    op = refused(it, it.op("class.create", None, name="rolled back"), 404)
    it.event(topics.CLASS_CREATED, "y", op.id, user_id=op.user, class_designation="rolled back")


def refused_and_done(it: SmallWorld) -> None:
    one = next(iter(it.classes))
    op = it.op("class.update", one, Outcome.NEVER, name="nobody heard")
    it.told(op)


def strange_in_inbox(it: SmallWorld) -> None:
    it.inbox["strange"] = None


def two_contents(it: SmallWorld) -> None:
    first = it.messages[topics.CLASS_UPDATED][0]
    altered = replace(first, offset=9, headers=(*first.headers, ("more", b"")))
    it.messages[topics.CLASS_UPDATED].append(altered)


def letter_without_headers(it: SmallWorld) -> None:
    letters = it.messages[topics.dead_letter_topic(COMMANDS)]
    letters[0] = replace(
        letters[0], headers=tuple(h for h in letters[0].headers if h[0] != "trace")
    )


def flood_not_whole(it: SmallWorld) -> None:
    it.messages[FLOOD_TOPIC].pop()


def flood_out_of_order(it: SmallWorld) -> None:
    it.messages[FLOOD_TOPIC].reverse()


# --- what a model of the contract says ---------------------------------------------------------


def essay_of(it: SmallWorld, method: str) -> str:
    """Return an essay that had a suggestion, and was decided once, by the clock or a teacher."""
    essays = (e for e in it.essays.values() if e.essay_id not in it.past)
    return next(e.essay_id for e in essays if e.suggested_student_id and e.method == method)


def status_of(it: SmallWorld, kind: str, status: str) -> None:
    op = next(o for o in it.history.ops if o.kind == kind and o.user == IMPORTER)
    results = it.messages[topics.COMMAND_RESULTS]
    place, result = next((i, m) for i, m in enumerate(results) if m.correlation_id == op.id)
    envelope = result.envelope
    envelope["data"]["status"] = status
    results[place] = replace(result, value=orjson.dumps(envelope))


def refused_for_nothing(it: SmallWorld) -> None:
    it.imported("student.create", "s", "rejected", student_id="s")


def done_though_wrong(it: SmallWorld) -> None:
    status_of(it, "class.update", "applied")


def done_before_its_class(it: SmallWorld) -> None:
    it.imported("roster.register", "later", class_id="later", students=[])


def decision_lost(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    it.essays[one] = replace(
        it.essays[one],
        status="timeout_confirmed",
        method="timeout",
        validated_at=NOON + timedelta(hours=1),
    )


def decided_by_nobody(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    for op in it.history.ops:
        if op.kind == "associations.confirm":
            op.outcome = Outcome.NEVER
    assert it.essays[one].method == "human"


def conflict_with_nobody(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "associations.confirm")
    op.outcome, op.status = Outcome.REFUSED, 409


def clock_takes_unknown(it: SmallWorld) -> None:
    one = essay_of(it, "timeout")
    unknown = StudentRow("u", OWNER, "UNKNOWN", "STUDENT", "unknown.x@huleedu.system", 1)
    it.students["u"] = unknown
    it.essays[one] = replace(it.essays[one], student_id="u")


def suggestion_lost(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    it.essays[one] = replace(it.essays[one], suggested_student_id=None, confidence=0.0)


def less_sure(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    it.essays[one] = replace(it.essays[one], confidence=0.1)


def buried_for_a_class_that_is_there(it: SmallWorld) -> None:
    record = it.messages[SUGGESTIONS][0]
    again = it.put(SUGGESTIONS, record.text_key, record.value)
    it.bury(again, "class_not_found")


def buried_for_an_open_batch(it: SmallWorld) -> None:
    record = it.messages[SUGGESTIONS][0]
    left_open(it)
    it.bury(it.put(SUGGESTIONS, record.text_key, record.value), "batch_closed")


def timer_buried(it: SmallWorld) -> None:
    it.bury(it.put(topics.TIMERS, "batch", b"{}"), "unreadable")


def not_joined(it: SmallWorld) -> None:
    it.enrollments.clear()


def notification_lost(it: SmallWorld) -> None:
    told = it.messages[topics.NOTIFICATION_REQUESTED]
    it.messages[topics.NOTIFICATION_REQUESTED] = [
        m for m in told if m.data["notification_type"] != "student_added_to_class"
    ]


def told_another_teacher(it: SmallWorld) -> None:
    it.notified("class_created", it.history.ops[0].id, teacher="somebody else")


def change_of_nobody(it: SmallWorld) -> None:
    one = next(iter(it.classes))
    it.event(topics.CLASS_UPDATED, one, "nobody", class_designation=it.classes[one].name)
    it.classes[one] = replace(it.classes[one], version=it.classes[one].version + 1)


def answered_500(it: SmallWorld) -> None:
    it.history.ops[0].attempts[0].status = 500


def read_answered_500(it: SmallWorld) -> None:
    it.history.reads |= {("/v1/classes", 500), ("/v1/classes", 503)}


def nothing_worked_meanwhile(it: SmallWorld) -> None:
    it.history.probe("connections_idle", "/livez", it.time, "no answer in 10 s")


def damage_untold(it: SmallWorld) -> None:
    letters = it.messages[topics.dead_letter_topic(COMMANDS)]
    letters[:] = [one for one in letters if one.header("dlt-reason") != "undecodable_batch"]


def damaged_timer_untold(it: SmallWorld) -> None:
    it.messages[topics.dead_letter_topic(topics.TIMERS)].pop()


def bad_timer_swallowed(it: SmallWorld) -> None:
    letters = it.messages[topics.dead_letter_topic(topics.TIMERS)]
    letters[:] = [one for one in letters if one.header("dlt-reason") != "unreadable"]


def aborted_command_done(it: SmallWorld) -> None:
    it.event(topics.CLASS_CREATED, "z", "aborted", class_designation="aborted")
    it.result("aborted", "aborted", "applied")


# --- classes that are deleted, batches without essays -------------------------------------------


def deleted_batch(it: SmallWorld) -> str:
    return next(batch.id for batch in it.batches.values() if batch.class_id is None)


def empty_batch(it: SmallWorld) -> str:
    return next(one for one in it.batches if not it.essays_of(one))


def without(it: SmallWorld, topic: str, key: str) -> None:
    """Remove the last record with a key from a topic."""
    records = it.messages[topic]
    place = max(i for i, record in enumerate(records) if record.text_key == key)
    del records[place]


def reopened(it: SmallWorld, batch_id: str) -> None:
    it.batches[batch_id] = replace(it.batches[batch_id], closed_at=None)
    without(it, topics.ASSOCIATIONS_CONFIRMED, batch_id)


def open_after_its_class(it: SmallWorld) -> None:
    reopened(it, deleted_batch(it))


def waited_for_in_vain(it: SmallWorld) -> None:
    without(it, topics.ASSOCIATIONS_CONFIRMED, deleted_batch(it))


def rejected_by_a_stranger(it: SmallWorld) -> None:
    [essay] = it.essays_of(deleted_batch(it))
    it.essays[essay.essay_id] = replace(essay, validated_by="somebody else")


def gone_with_its_class(it: SmallWorld) -> None:
    [essay] = it.essays_of(deleted_batch(it))
    del it.essays[essay.essay_id]


def pending_after_its_class(it: SmallWorld) -> None:
    [essay] = it.essays_of(deleted_batch(it))
    pending = {"status": "pending_validation", "method": None, "validated_at": None}
    it.essays[essay.essay_id] = replace(essay, **pending)  # type: ignore[arg-type]  # by name


def buried_for_a_class_that_is_not_deleted(it: SmallWorld) -> None:
    record = it.messages[SUGGESTIONS][0]
    it.bury(it.put(SUGGESTIONS, record.text_key, record.value), "class_deleted")


def empty_and_open(it: SmallWorld) -> None:
    reopened(it, empty_batch(it))


def empty_and_untold(it: SmallWorld) -> None:
    without(it, topics.ASSOCIATIONS_CONFIRMED, empty_batch(it))


def empty_and_not_there(it: SmallWorld) -> None:
    del it.batches[empty_batch(it)]


def empty_and_suggested(it: SmallWorld) -> None:
    batch_id = empty_batch(it)
    record = next(m for m in it.messages[SUGGESTIONS] if m.text_key == batch_id)
    it.notified("student_matches_suggested", record.correlation_id, batch_id)


# --- requests that are repeated -----------------------------------------------------------------


def lost(it: SmallWorld) -> Op:
    """Return a request whose first answer was lost."""
    return next(op for op in it.history.ops if op.attempts and op.attempts[0].status is None)


def done_twice(it: SmallWorld) -> None:
    op = lost(it)
    row = it.classes[str(op.target)]
    it.classes[row.id] = replace(row, version=row.version + 1)
    it.event(
        topics.CLASS_UPDATED,
        row.id,
        op.attempts[1].id,
        user_id=OWNER,
        class_designation=op.body["name"],
    )


def done_twice_with_one_event(it: SmallWorld) -> None:
    for one in lost(it).attempts:
        one.outcome, one.is_replay = Outcome.ACKED, False


def done_by_nobody_who_says_so(it: SmallWorld) -> None:
    op = it.again(it.rename(next(iter(it.classes))))
    op.is_replay = False
    it.history.ops[-1].attempts[0].is_replay = True


def lost_and_answered_as_new(it: SmallWorld) -> None:
    lost(it).attempts[1].is_replay = False


def done_and_answered_as_repeated(it: SmallWorld) -> None:
    it.rename(next(iter(it.classes)))
    it.history.ops[-1].attempts[0].is_replay = True


def another_answer(it: SmallWorld) -> None:
    it.again(it.rename(next(iter(it.classes)))).content = b"another"


def refused_after_all(it: SmallWorld) -> None:
    one = it.again(it.rename(next(iter(it.classes))))
    one.outcome, one.status = Outcome.REFUSED, 422


def not_kept(it: SmallWorld) -> None:
    del it.keys[lost(it).id]


def kept_though_refused(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.outcome is Outcome.REFUSED)
    it.keys[op.id] = 200


def kept_otherwise(it: SmallWorld) -> None:
    it.keys[lost(it).id] = 201


def kept_for_nobody(it: SmallWorld) -> None:
    it.keys["nobody's"] = 200


def answered_for_another(it: SmallWorld) -> None:
    lost(it).answer["id"] = str(uuid4())


def answered_with_another_name(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if "person_name" in op.body and op.attempts)
    op.answer["first_name"] = "Bo"


def too_few_decided(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "associations.confirm")
    op.answer["associations_confirmed"] -= 1


def correction_answered_otherwise(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "associations.correct")
    op.answer["student_id"] = str(uuid4())


def merge_answered_with_the_other(it: SmallWorld) -> None:
    merge_of(it).answer["id"] = merge_of(it).target


# --- corrections, merges, students that join and leave ------------------------------------------


def last_corrected(it: SmallWorld) -> str:
    return next(reversed(it.past))


def corrected_twice(it: SmallWorld) -> str:
    return next(one for one, past in it.past.items() if len(past) == 2)


def correction_lost(it: SmallWorld) -> None:
    one = last_corrected(it)
    before = it.past.pop(one)[-1]
    it.essays[one] = replace(
        it.essays[one],
        student_id=before.student_id,
        status=before.status,
        method=before.method,
        validated_by=before.validated_by,
        validated_at=before.validated_at,
    )
    without(it, topics.ASSOCIATION_UPDATED, it.essays[one].batch_id)


def earlier_correction_stands(it: SmallWorld) -> None:
    one = corrected_twice(it)
    before = it.past[one][-1]
    it.essays[one] = replace(it.essays[one], student_id=before.student_id, status=before.status)


def correction_untold(it: SmallWorld) -> None:
    without(it, topics.ASSOCIATION_UPDATED, it.essays[last_corrected(it)].batch_id)


def correction_told_twice(it: SmallWorld) -> None:
    one = last_corrected(it)
    op = next(o for o in it.history.ops if o.body.get("essay_id") == one)
    it.told_corrected(op, one, it.essays[one].student_id)


def history_forgotten(it: SmallWorld) -> None:
    del it.past[last_corrected(it)]


def corrected_by_nobody(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    student = it.essays[one].student_id
    op = it.correct(one, None if student else next(iter(it.students)))
    op.outcome = Outcome.NEVER


def correction_told_otherwise(it: SmallWorld) -> None:
    one = last_corrected(it)
    op = next(o for o in it.history.ops if o.body.get("essay_id") == one)
    without(it, topics.ASSOCIATION_UPDATED, it.essays[one].batch_id)
    it.told_corrected(op, one, None)


def corrected_and_the_clock_forgotten(it: SmallWorld) -> None:
    batch_id = it.essays[last_corrected(it)].batch_id
    events = it.messages[topics.ASSOCIATIONS_CONFIRMED]
    place = next(i for i, event in enumerate(events) if event.text_key == batch_id)
    envelope = events[place].envelope
    envelope["data"]["timeout_triggered"] = False
    events[place] = replace(events[place], value=orjson.dumps(envelope))


def correction_refused_for_nothing(it: SmallWorld) -> None:
    one = essay_of(it, "human")
    op = it.op("associations.correct", it.essays[one].batch_id, essay_id=one, student_id=None)
    op.outcome, op.status = Outcome.REFUSED, 400


def merge_of(it: SmallWorld) -> Op:
    return next(op for op in it.history.ops if op.kind == "student.merge")


def merged_and_still_there(it: SmallWorld) -> None:
    one = str(merge_of(it).target)
    it.students[one] = StudentRow(one, OWNER, "Åsa", "Berg", None, 1)


def merged_and_untold(it: SmallWorld) -> None:
    without(it, topics.STUDENT_DELETED, str(merge_of(it).target))


def essay_of_merged_forgotten(it: SmallWorld) -> None:
    one = corrected(it, str(merge_of(it).body["into"]))
    it.essays[one] = replace(it.essays[one], student_id=None)


def essay_of_merged_untold(it: SmallWorld) -> None:
    op = merge_of(it)
    events = it.messages[topics.ASSOCIATION_UPDATED]
    events[:] = [event for event in events if event.correlation_id != op.id]


def left_and_still_there(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if "remove_class_ids" in op.body)
    it.enrollments.add((op.body["remove_class_ids"][0], str(op.target)))


def left_and_chosen_by_the_clock(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if "remove_class_ids" in op.body)
    class_id = op.body["remove_class_ids"][0]
    it.sure_batch(class_id, str(op.target))
    one = next(reversed(it.essays))
    it.essays[one] = replace(it.essays[one], validated_at=NOON + timedelta(hours=2))


def joined_no_second_class(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "student.join")
    it.enrollments.remove((op.body["class_ids"][0], str(op.target)))


def joining_refused_for_nothing(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "student.join")
    it.imported("student.create", str(op.target), "rejected", **op.body)


def joined_under_another_name(it: SmallWorld) -> None:
    op = next(op for op in it.history.ops if op.kind == "student.join")
    body = {**op.body, "person_name": {"first_name": "Bo", "last_name": "Berg"}}
    it.imported("student.create", str(op.target), "applied", **body)


def placeholder_that_is_none(it: SmallWorld) -> None:
    one = next(e for e in it.essays.values() if e.method == "timeout" and e.student_id is None)
    class_id = it.batches[one.batch_id].class_id
    email = f"unknown.{class_id}@huleedu.system"
    it.students["u"] = StudentRow("u", OWNER, "UNKNOWN", "STUDENT", email, 1)
    it.essays[one.essay_id] = replace(one, student_id="u")


BREAKS: Final[list[tuple[Callable[[SmallWorld], None], Kind]]] = [
    (no_row, Kind.LOST),
    (no_event, Kind.LOST),
    (no_essay, Kind.LOST),
    (not_in_inbox, Kind.LOST),
    (no_result, Kind.LOST),
    (no_dead_letter, Kind.LOST),
    (kafka_lost_it, Kind.LOST),
    (no_closing_event, Kind.LOST),
    (good_message_buried, Kind.LOST),
    (told_twice, Kind.DOUBLED),
    (answered_twice, Kind.DOUBLED),
    (applied_twice, Kind.DOUBLED),
    (closed_twice, Kind.DOUBLED),
    (notified_twice, Kind.DOUBLED),
    (swapped, Kind.REORDERED),
    (not_as_told, Kind.REORDERED),
    (decided_early, Kind.EARLY),
    (short_wait, Kind.EARLY),
    (closed_while_pending, Kind.EARLY),
    (left_open, Kind.STUCK),
    (closed_by_nobody, Kind.STUCK),
    (row_of_nobody, Kind.UNASKED),
    (event_without_commit, Kind.UNASKED),
    (refused_and_done, Kind.UNASKED),
    (strange_in_inbox, Kind.UNASKED),
    (two_contents, Kind.ALTERED),
    (letter_without_headers, Kind.ALTERED),
    (flood_not_whole, Kind.LOST),
    (flood_out_of_order, Kind.REORDERED),
    (refused_for_nothing, Kind.LOST),
    (done_though_wrong, Kind.UNASKED),
    (done_before_its_class, Kind.UNASKED),
    (decision_lost, Kind.LOST),
    (decided_by_nobody, Kind.UNASKED),
    (conflict_with_nobody, Kind.BROKEN),
    (clock_takes_unknown, Kind.ALTERED),
    (suggestion_lost, Kind.LOST),
    (less_sure, Kind.ALTERED),
    (buried_for_a_class_that_is_there, Kind.LOST),
    (buried_for_an_open_batch, Kind.LOST),
    (timer_buried, Kind.LOST),
    (not_joined, Kind.LOST),
    (notification_lost, Kind.LOST),
    (told_another_teacher, Kind.DOUBLED),
    (change_of_nobody, Kind.UNASKED),
    (answered_500, Kind.BROKEN),
    (read_answered_500, Kind.BROKEN),
    (nothing_worked_meanwhile, Kind.BROKEN),
    (damage_untold, Kind.LOST),
    (damaged_timer_untold, Kind.LOST),
    (bad_timer_swallowed, Kind.LOST),
    (aborted_command_done, Kind.UNASKED),
    (done_twice, Kind.DOUBLED),
    (done_twice_with_one_event, Kind.DOUBLED),
    (done_by_nobody_who_says_so, Kind.ALTERED),
    (lost_and_answered_as_new, Kind.ALTERED),
    (done_and_answered_as_repeated, Kind.ALTERED),
    (another_answer, Kind.ALTERED),
    (refused_after_all, Kind.BROKEN),
    (not_kept, Kind.LOST),
    (kept_though_refused, Kind.UNASKED),
    (kept_otherwise, Kind.ALTERED),
    (kept_for_nobody, Kind.UNASKED),
    (answered_for_another, Kind.ALTERED),
    (answered_with_another_name, Kind.ALTERED),
    (too_few_decided, Kind.ALTERED),
    (correction_answered_otherwise, Kind.ALTERED),
    (merge_answered_with_the_other, Kind.ALTERED),
    (open_after_its_class, Kind.STUCK),
    (waited_for_in_vain, Kind.LOST),
    (rejected_by_a_stranger, Kind.UNASKED),
    (gone_with_its_class, Kind.ALTERED),
    (pending_after_its_class, Kind.EARLY),
    (buried_for_a_class_that_is_not_deleted, Kind.LOST),
    (empty_and_open, Kind.STUCK),
    (empty_and_untold, Kind.LOST),
    (empty_and_not_there, Kind.LOST),
    (empty_and_suggested, Kind.DOUBLED),
    (correction_lost, Kind.LOST),
    (earlier_correction_stands, Kind.LOST),
    (correction_untold, Kind.LOST),
    (correction_told_twice, Kind.DOUBLED),
    (history_forgotten, Kind.DOUBLED),
    (corrected_by_nobody, Kind.UNASKED),
    (correction_told_otherwise, Kind.ALTERED),
    (corrected_and_the_clock_forgotten, Kind.ALTERED),
    (correction_refused_for_nothing, Kind.BROKEN),
    (merged_and_still_there, Kind.UNASKED),
    (merged_and_untold, Kind.LOST),
    (essay_of_merged_forgotten, Kind.REORDERED),
    (essay_of_merged_untold, Kind.REORDERED),
    (left_and_still_there, Kind.LOST),
    (left_and_chosen_by_the_clock, Kind.ALTERED),
    (joined_no_second_class, Kind.LOST),
    (joining_refused_for_nothing, Kind.LOST),
    (joined_under_another_name, Kind.UNASKED),
    (placeholder_that_is_none, Kind.ALTERED),
]


@pytest.mark.parametrize(("breaks", "kind"), BREAKS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_broken_world_is_found(breaks: Callable[[SmallWorld], None], kind: Kind) -> None:
    it = made()
    breaks(it)
    assert kind in found(it)


@pytest.mark.parametrize(
    "changes",
    [{"outbox": 1}, {"parked": 1}, {"progress": {}}, {"drift": {"missing": 1}}, {"drift": None}],
)
def test_what_is_not_at_its_end_is_stuck(changes: dict[str, Any]) -> None:
    it = made()
    assert found(it, replace(it.world(), **changes)) == {Kind.STUCK}


def test_what_came_again_while_parked_is_as_good_as_buried() -> None:
    it = made()
    batch = it.batch("a class that is not there yet")
    record = it.messages[SUGGESTIONS].pop()
    del it.inbox[record.event_id]
    it.essays = {i: e for i, e in it.essays.items() if e.batch_id != batch}
    del it.batches[batch]
    for topic in (*topics.PUBLISHED,):
        it.messages[topic] = [
            m for m in it.messages.get(topic, ()) if m.correlation_id != record.correlation_id
        ]
    it.messages[SUGGESTIONS].append(record)
    it.bury(record, "class_not_found")
    it.inbox[identity(record)] = None
    it.messages[SUGGESTIONS].append(replace(record, offset=record.offset + 1))
    assert not found(it)


def test_commands_of_one_partition_are_told_in_their_order() -> None:
    it = made()
    one = next(iter(it.classes))
    it.command(one)
    it.command(one)
    events = it.messages[topics.CLASS_UPDATED]
    events[-1], events[-2] = events[-2], events[-1]
    assert Kind.REORDERED in found(it)


@pytest.mark.parametrize("sent", [1, 2])
def test_who_joins_where_it_is_already_is_no_news(sent: int) -> None:
    """One command alone that is no news is an effect that nobody was told of."""
    it = made()
    student_id = str(uuid4())
    body = {"student_id": student_id, "class_ids": [next(iter(it.classes))]}
    for _ in range(sent):
        it._given(OWNER, "student.join", student_id, body, ["duplicate"])
    assert (Kind.DOUBLED in found(it)) == (sent == 1)
