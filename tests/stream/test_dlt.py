"""`class-management dlt` against a running service: what a person does about dead letters."""

import asyncio
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest

from devstack.ports import free_port
from devstack.rig.database import Database
from devstack.rig.http import MARK, Http, Teacher
from devstack.rig.kafka import (
    COMMAND_RESULTS,
    COMMANDS,
    DEAD_SUGGESTIONS,
    TIMERS,
    Message,
    Topics,
)
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, suggest
from devstack.rig.waiting import until
from devstack.stack import PREFIX
from tests.support.command_line import Done, call
from tests.support.commands import envelope

DONE, SOME_NOT, TROUBLE = 0, 1, 2
POISON: Final = f'{{"name": "{MARK}'.encode()

Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("service")


async def dlt(host: Host, *arguments: str, **settings: str) -> Done:
    own = {PREFIX + name: value for name, value in settings.items()}
    done = await call("dlt", *arguments, environ={**host.command_environ(), **own})
    return done.but_for_damage()


async def listed(host: Host, key: str, *arguments: str) -> list[Json]:
    done = await dlt(host, "list", "--key", key, "--json", *arguments)
    assert (done.code, done.err) == (DONE, "")
    return done.lines


async def poison(topics: Topics, key: str) -> Message:
    await topics.send(POISON, key, [("traceparent", b"00-x"), ("raw", b"\xff\0")])
    return (await topics.expect(DEAD_SUGGESTIONS, key))[-1]


async def early(topics: Topics, teacher: Teacher) -> tuple[str, str]:
    """Bury suggestions whose class never came; return the class and the batch."""
    class_id = str(uuid4())
    batch = suggest(class_id, [])
    await topics.suggest(batch)
    await topics.expect(DEAD_SUGGESTIONS, batch.batch_id)
    assert (await teacher.batch(batch.batch_id)).status == 404
    return class_id, batch.batch_id


def name_of(letter: Message) -> str:
    return f"suggestions/{letter.partition}/{letter.offset}"


async def test_a_letter_is_listed_and_shown_without_what_it_says(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    letter = await poison(topics, teacher.id)
    [line] = await listed(host, teacher.id)
    assert line["letter"] == name_of(letter)
    assert (line["topic"], line["partition"], line["offset"]) == (
        DEAD_SUGGESTIONS,
        letter.partition,
        letter.offset,
    )
    assert (line["reason"], line["state"], line["size"]) == ("unreadable", "open", len(POISON))
    assert line["from"] == {
        "topic": TOPIC,
        "partition": int(letter.header("dlt-partition")),
        "offset": int(letter.header("dlt-offset")),
    }
    seen = await dlt(host, "list", "--topic", "suggestions", "--since", "1h")
    assert seen.code == DONE
    assert name_of(letter) in seen.out
    assert "not JSON, not UTF-8, empty" in seen.out
    assert MARK not in seen.out
    told = await dlt(host, "show", name_of(letter))
    assert told.code == DONE
    assert "unreadable: not JSON" in told.out
    assert "A replay fails again" in told.out
    assert f"key         {teacher.id}" in told.out
    assert "raw: 0xff00" in told.out
    assert MARK not in told.out
    assert f'"name": "{MARK}' in (await dlt(host, "show", name_of(letter), "--body")).out
    whole = f"{DEAD_SUGGESTIONS}/{letter.partition}/{letter.offset}"
    [document] = (await dlt(host, "show", whole, "--json")).lines
    assert document["headers"][:2] == [["traceparent", "00-x"], ["raw", "\\xff\x00"]]
    assert "body" not in document


async def test_a_replay_that_works_leaves_a_trace(
    host: Host,
    http: Http,
    service: ServiceProcess,
    teacher: Teacher,
    topics: Topics,
    database: Database,
) -> None:
    class_id, batch_id = await early(topics, teacher)
    [line] = await listed(host, batch_id)
    assert (line["reason"], line["state"]) == ("class_not_found", "open")
    await database.insert_class(class_id, teacher.id)
    would = await dlt(host, "replay", "--key", batch_id, "--dry-run")
    assert (would.code, would.err) == (DONE, "")
    assert f"Would replay 1 dead letter, to {TOPIC}." in would.out
    assert await listed(host, batch_id) == [line]

    unasked = await dlt(host, "replay", "--key", batch_id)
    assert unasked.code == TROUBLE
    assert "give --yes" in unasked.err
    assert await listed(host, batch_id) == [line]

    done = await dlt(host, "replay", "--key", batch_id, "--yes")
    assert (done.code, done.err) == (DONE, ""), done
    assert done.out.splitlines()[-1].split() == [line["letter"], "stored"]
    await teacher.stored(batch_id)
    assert await listed(host, batch_id) == []
    [settled] = await listed(host, batch_id, "--all")
    assert (settled["state"], settled["outcome"]) == ("taken", "stored")
    shown = await dlt(host, "show", line["letter"])
    assert ", stored" in shown.out
    [told] = [
        one
        for one in service.logged("replayed dead letter handled")
        if one["letter"] == line["letter"]
    ]
    assert (told["agent"], told["outcome"]) == ("suggestions", "stored")
    replayed = await http.metric("replays_total", agent="suggestions", outcome="stored")
    assert replayed > 0

    again = await dlt(host, "replay", line["letter"])
    assert again.code == SOME_NOT
    assert "is left as it is: replayed" in again.err
    nothing = await dlt(host, "replay", "--key", batch_id, "--yes")
    assert (nothing.code, nothing.out) == (
        DONE,
        "No dead letters that nobody has decided about.\n",
    )
    forced = await dlt(host, "replay", line["letter"], "--again")
    assert forced.code == DONE
    assert forced.out.splitlines()[-1].split()[-1] == "duplicate"


async def test_a_replay_that_fails_again_is_another_letter(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    letter = await poison(topics, teacher.id)
    done = await dlt(host, "replay", name_of(letter), "suggestions/0/999999999")
    assert done.code == SOME_NOT
    assert "failed again: unreadable" in done.out
    assert "there is no suggestions/0/999999999" in done.err
    new = (await topics.expect(DEAD_SUGGESTIONS, teacher.id, 2))[-1]
    assert new.value == POISON
    assert new.header("dlt-replayed-from").endswith(name_of(letter).removeprefix("suggestions"))
    [line] = await listed(host, teacher.id)
    assert (line["letter"], line["replay_of"]) == (name_of(new), name_of(letter))
    [old, _] = await listed(host, teacher.id, "--all")
    assert (old["state"], old["outcome_reason"]) == ("failed again", "unreadable")
    assert f"failed again as {name_of(new)}" in (await dlt(host, "show", name_of(letter))).out
    # A second replay has the message's own headers, and only the newest of ours.
    await dlt(host, "replay", name_of(new), "--no-wait")
    third = (await topics.expect(DEAD_SUGGESTIONS, teacher.id, 3))[-1]
    assert third.headers[:2] == letter.headers[:2]
    assert [name for name, _ in third.headers].count("dlt-replay-id") == 1
    assert third.header("dlt-replayed-from").endswith(name_of(new).removeprefix("suggestions"))


async def test_a_dropped_letter_is_left_out(host: Host, teacher: Teacher, topics: Topics) -> None:
    letter = await poison(topics, teacher.id)
    chosen = ("--key", teacher.id, "--reason", "unreadable", "--topic", TOPIC, "--until", "0s")
    would = await dlt(host, "drop", *chosen, "--dry-run")
    assert "Would drop 1 dead letter." in would.out
    assert (await dlt(host, "drop", *chosen)).code == TROUBLE
    assert len(await listed(host, teacher.id)) == 1
    done = await dlt(host, "drop", *chosen, "--yes")
    assert (done.code, done.out, done.err) == (DONE, "1 dead letter dropped.\n", "")
    assert await listed(host, teacher.id) == []
    [line] = await listed(host, teacher.id, "--all")
    assert line["state"] == "dropped"
    seen = await dlt(host, "list", "--key", teacher.id)
    assert seen.out == "No dead letters.\nNot shown: 1 dropped: --all\n"
    left = await dlt(host, "replay", name_of(letter))
    assert (left.code, left.out) == (SOME_NOT, "")
    assert "is left as it is: dropped" in left.err
    assert (await dlt(host, "replay", name_of(letter), "--again", "--no-wait")).code == DONE


async def test_two_people_replay_a_letter_once(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    letter = await poison(topics, teacher.id)
    both = await asyncio.gather(*(dlt(host, "replay", name_of(letter)) for _ in range(2)))
    assert [done.code for done in both] == [SOME_NOT, SOME_NOT]
    assert sorted(f"{name_of(letter)} is left" in done.err for done in both) == [False, True]
    assert len(await topics.all_of(DEAD_SUGGESTIONS, teacher.id)) == 2


async def test_who_only_says_that_it_is_a_replay_is_none(
    host: Host, http: Http, service: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    mark = str(uuid4())
    said = [("dlt-replay-id", mark.encode()), ("dlt-replayed-from", f"{TOPIC}.dlt/0/0".encode())]
    before = await replays_counted(http)
    class_id = await teacher.new_class()
    stored = suggest(class_id, [])
    await topics.send(stored.value, stored.batch_id, said)
    await topics.send(POISON, teacher.id, said)
    command = envelope("class.create", teacher.id, name="9A", course_codes=["SV1"])
    await topics.send(orjson.dumps(command), teacher.id, said, topic=COMMANDS)
    timer = {"event_id": str(uuid4()), "data": {"event": "cleared", "batch_id": stored.batch_id}}
    await topics.send(orjson.dumps(timer), stored.batch_id, said, topic=TIMERS)
    await teacher.stored(stored.batch_id)
    await topics.expect(DEAD_SUGGESTIONS, teacher.id)
    await topics.expect(COMMAND_RESULTS, command["event_id"])
    [line] = await listed(host, teacher.id)
    assert line["state"] == "open"
    assert [
        one for one in service.logged("replayed dead letter handled") if one["replay_id"] == mark
    ] == []
    assert await replays_counted(http) == before


async def replays_counted(http: Http) -> list[str]:
    text = (await http.send("GET", "/metrics")).body.decode()
    return [line for line in text.splitlines() if line.startswith("class_management_replays_total")]


@pytest.mark.usefixtures("service")
async def test_timers_can_be_replayed_as_well(host: Host, topics: Topics) -> None:
    batch_id = str(uuid4())
    timer = {"event_id": str(uuid4()), "data": {"event": "cleared", "batch_id": batch_id}}
    await topics.send(orjson.dumps(timer), batch_id, topic=f"{TIMERS}.dlt")
    [line] = await listed(host, batch_id)
    assert (line["reason"], line["event_id"]) == (None, timer["event_id"])
    done = await dlt(host, "replay", line["letter"])
    assert (done.code, done.err) == (DONE, "")
    [came] = done.out.splitlines()[1:]
    name, outcome = came.split()
    assert (name.partition("/")[0], outcome) == ("timers", "cleared")


async def test_without_postgres_letters_are_shown_and_nothing_is_decided(
    host: Host, teacher: Teacher, topics: Topics
) -> None:
    letter = await poison(topics, teacher.id)
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    seen = await dlt(host, "list", "--key", teacher.id, "--json", DATABASE_URL=nowhere)
    assert seen.code == DONE
    assert "PostgreSQL: " in seen.err
    [line] = seen.lines
    assert (line["letter"], line["state"]) == (name_of(letter), None)
    shown = await dlt(host, "show", name_of(letter), USE_MOCK_REPOSITORY="true")
    assert shown.code == DONE
    for command in ("replay", "drop"):
        done = await dlt(host, command, name_of(letter), DATABASE_URL=nowhere)
        assert (done.code, done.out) == (TROUBLE, "")
        assert done.err.startswith("class-management: PostgreSQL: ")
        assert len(done.err.splitlines()) == 1


@pytest.mark.timeout(240)
async def test_a_replay_while_no_worker_runs_is_handled_later(
    host: Host, service: ServiceProcess, teacher: Teacher, topics: Topics, database: Database
) -> None:
    class_id, batch_id = await early(topics, teacher)
    await database.insert_class(class_id, teacher.id)
    await asyncio.to_thread(service.end)
    done = await dlt(host, "replay", "--key", batch_id, "--yes", "--timeout", "1")
    assert done.code == TROUBLE
    assert done.out == "1 dead letter replayed.\n"
    assert "1 not handled yet" in done.err
    [line] = await listed(host, batch_id)
    assert line["state"] == "underway"
    await asyncio.to_thread(service.start)

    async def taken() -> bool:
        return [line["state"] for line in await listed(host, batch_id, "--all")] == ["taken"]

    await until("the replay to be handled", taken)
