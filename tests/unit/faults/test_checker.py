"""The checker says nothing of a world that is whole, and the right thing of one that is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest

from devstack.rig.envelopes import COMMANDS, SUGGESTIONS
from faults.checker import Kind, check
from faults.checker.index import identity
from faults.history import Outcome
from faults.sender import FLOOD_TOPIC
from faults.world import ClassRow, StudentRow, World
from rules import topics
from tests.unit.faults.small_world import IMPORTER, NOON, OWNER, SmallWorld


def made() -> SmallWorld:
    """Return a history with something of everything, and its world."""
    it = SmallWorld()
    one = it.new_class()
    it.rename(one)
    it.rename(one, Outcome.UNKNOWN)
    it.command(one, times=2)
    it.new_class(Outcome.UNKNOWN)
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
    return it


def found(it: SmallWorld, world: World | None = None) -> set[Kind]:
    return {finding.kind for finding in check(it.history, world or it.world())}


def test_a_whole_world_has_no_findings() -> None:
    it = made()
    assert check(it.history, it.world()) == []


def test_what_was_left_unknown_may_be_there_or_not() -> None:
    it = made()
    it.op("class.create", None, Outcome.UNKNOWN, name="maybe")
    it.op("class.update", next(iter(it.classes)), Outcome.UNKNOWN, name="maybe")
    assert not found(it)


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
    op = it.op("class.create", None, Outcome.UNKNOWN, name="rolled back")
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
    """Return an essay that had a suggestion, and was decided by the clock or a teacher."""
    found = (e for e in it.essays.values() if e.suggested_student_id and e.method == method)
    return next(found).essay_id


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


def done_in_part(it: SmallWorld) -> None:
    decision_lost(it)
    for op in it.history.ops:
        if op.kind == "associations.confirm":
            op.outcome = Outcome.UNKNOWN


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
    it.history.ops[0].status = 500


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
    (done_in_part, Kind.ALTERED),
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
