"""`class-management outbox`: what people see of refused messages, and what they decide."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest

from class_management.cli.outbox.report import REMEDIES
from devstack.rig.database import connected
from devstack.stack import PREFIX, REPOSITORY
from rules import topics
from rules.shards import shard_of
from store.postgres.packs import pack_headers
from store.protocols.outbox import Refusal
from tests.support.command_line import Done, call, nowhere
from tests.support.stores import EMPTY

DONE, SOME_NOT, TROUBLE = 0, 1, 2
#: As in the example of docs/operating.md.
EVENT_ID: Final = "2c02c899-4f0e-5d0a-9d53-0c1f6f6f2b11"
BATCH: Final = b"7c9e6679-7425-40de-944b-e07fc1f90ae7"
SINCE: Final = datetime(2026, 11, 23, 1, 42, 57, tzinfo=UTC)
PAGE: Final = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")

SET_ASIDE: Final = """
insert into outbox_set_aside (shard, id, topic, key, value, headers, created_at, reason,
    set_aside_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $7)
"""


@pytest.fixture
async def database(migrated_database: str) -> str:
    async with connected(migrated_database) as connection:
        await connection.execute(EMPTY)
    return migrated_database


async def aside(
    database: str,
    number: int,
    reason: str | None,
    *,
    key: bytes | None = BATCH,
    event_id: str | None = EVENT_ID,
    topic: str = topics.TIMEOUT_PROCESSED,
    size: int = 9 * 1024 * 1024,
) -> None:
    headers = pack_headers([("event_id", event_id.encode())] if event_id else [])
    row = shard_of(key), number, topic, key, bytes(size), headers, SINCE
    async with connected(database) as connection:
        await connection.execute(SET_ASIDE, *row, reason)


async def example(database: str) -> None:
    """Set aside what the documents show."""
    async with connected(database) as connection:
        await connection.execute("delete from outbox_packs")
        await connection.execute("delete from outbox_set_aside")
    await aside(
        database, 1042, Refusal.TOO_LARGE, size=9_437_532 - 36 - 44 - len("event_id") - 4 + 8
    )
    await aside(database, 1050, None, event_id=None, size=10)


async def outbox(database: str, *arguments: str, **settings: str) -> Done:
    environ = {PREFIX + name: value for name, value in settings.items()}
    return await call("outbox", *arguments, environ={PREFIX + "DATABASE_URL": database, **environ})


async def waiting(database: str) -> list[int]:
    async with connected(database) as connection:
        rows = await connection.fetch("select id from outbox order by id")
    return [row["id"] for row in rows]


async def listed(database: str) -> list[Any]:
    done = await outbox(database, "list", "--json")
    assert (done.code, done.err) == (DONE, "")
    return done.lines


# --- as the documents say ------------------------------------------------------------------------


def sessions() -> list[tuple[list[str], list[str]]]:
    """Return the commands of the section's example, and what each prints."""
    section = PAGE.split("### Messages that the broker refuses\n")[1].split("\n### ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    parts = "\n".join(lines).split("$ class-management outbox ")[1:]
    return [(part.splitlines()[0].split(), part.splitlines()[1:]) for part in parts]


def words(lines: Sequence[str]) -> list[list[str]]:
    """Return the words of lines, with ids shortened as in the documents."""
    short = [re.sub(r"([0-9a-f]{8})-[0-9a-f-]{27}", r"\1-…", line) for line in lines]
    return [line.split() for line in short if line]


@pytest.mark.parametrize(("arguments", "shown"), sessions(), ids=lambda part: part[0])
async def test_the_examples_are_what_the_commands_print(
    database: str, arguments: list[str], shown: list[str]
) -> None:
    await example(database)
    done = await outbox(database, *arguments)
    assert done.code == DONE
    assert words(done.out.splitlines()) == words(shown)


def test_all_commands_have_an_example() -> None:
    assert [arguments[0] for arguments, _ in sessions()] == ["list", "retry", "drop"]
    assert REMEDIES.keys() == set(Refusal)


# --- list ----------------------------------------------------------------------------------------


async def test_nothing_set_aside_is_said(database: str) -> None:
    done = await outbox(database, "list")
    assert (done.code, done.out, done.err) == (DONE, "Nothing is set aside.\n", "")
    assert await listed(database) == []
    retried = await outbox(database, "retry", "--all")
    assert (retried.code, retried.out) == (DONE, "0 messages put back into the outbox.\n")


async def test_list_says_how_much_only_waits_to_be_sent(database: str) -> None:
    await example(database)
    await outbox(database, "retry", "--all")
    done = await outbox(database, "list")
    assert (done.code, done.err) == (DONE, "")
    told = (
        r"Nothing is set aside\.\n2 messages wait to be sent, the oldest for \d+ \w+( \d+ \w+)?\.\n"
    )
    assert re.fullmatch(told, done.out)
    assert await listed(database) == []


async def test_list_shows_what_is_refused_and_nothing_of_its_content(database: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE, size=1000)
    await aside(database, 9, None)
    await aside(database, 8, Refusal.INVALID, key=b"\xff\x1b[31m", event_id=None, topic="some.dlt")
    await aside(database, 10, Refusal.TOO_LARGE, key=b"k" * 5_000, event_id=None)
    first, second, third = await listed(database)
    size = first.pop("size")
    assert 1000 < size < 1200
    assert first == {
        "number": 7,
        "event_id": EVENT_ID,
        "topic": topics.TIMEOUT_PROCESSED,
        "key": BATCH.decode(),
        "reason": "too_large",
        "since": "2026-11-23T01:42:57Z",
        "waiting": 1,
    }
    assert (second["event_id"], second["key"], second["waiting"]) == (None, "\\xff\x1b[31m", 0)
    assert len(third["key"]) == 5_000
    done = await outbox(database, "list")
    assert "0xff1b5b33316d" in done.out
    assert "k" * 60 + "…" in done.out
    assert "too_large: raise max.message.bytes" in done.out
    assert "invalid_record: " in done.out
    assert "\x1b" not in done.out + done.err


async def test_a_reason_of_another_version_is_shown(database: str) -> None:
    await aside(database, 7, "of_tomorrow")
    assert [line["reason"] for line in await listed(database)] == ["of_tomorrow"]
    done = await outbox(database, "list")
    assert (done.code, "of_tomorrow" in done.out) == (DONE, True)


# --- retry and drop ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["7", EVENT_ID, EVENT_ID.upper()])
async def test_a_message_goes_back_by_either_name(database: str, name: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE)
    await aside(database, 9, None)
    await aside(database, 8, Refusal.TOO_LARGE, key=b"another", event_id=None)
    done = await outbox(database, "retry", name)
    assert (done.code, done.err) == (DONE, "")
    assert await waiting(database) == [7, 9]
    assert [line["number"] for line in await listed(database)] == [8]
    again = await outbox(database, "retry", name)
    assert (again.code, again.out) == (SOME_NOT, "0 messages put back into the outbox.\n")
    assert again.err == (
        f"class-management: {name} is none that the broker refuses, which are: "
        "class-management outbox list\n"
    )


async def test_some_names_may_be_wrong(database: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE)
    unknown = "00000000-0000-4000-8000-000000000001"
    done = await outbox(database, "retry", "7", unknown, "999")
    assert done.code == SOME_NOT
    assert done.out == "1 message put back into the outbox.\n"
    assert [line.split()[1] for line in done.err.splitlines()] == [unknown, "999"]


async def test_a_message_that_waits_behind_another_cannot_be_chosen(database: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE)
    await aside(database, 9, None)
    assert (await outbox(database, "drop", "9", "--yes")).code == SOME_NOT
    assert [line["waiting"] for line in await listed(database)] == [1]


async def test_nothing_is_dropped_unasked(database: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE)
    for arguments in (("7",), ("--all",)):
        done = await outbox(database, "drop", *arguments)
        assert done.code == TROUBLE
        [line] = done.err.splitlines()
        assert line.endswith("give --yes")
        assert EVENT_ID in done.out
    assert len(await listed(database)) == 1
    assert await waiting(database) == []


async def test_dropping_leaves_a_line_without_the_key(database: str) -> None:
    await aside(database, 7, Refusal.TOO_LARGE, key=b"teacher-1")
    await aside(database, 8, None, key=b"teacher-1")
    await aside(database, 9, Refusal.INVALID, key=None, event_id=None)
    done = await outbox(database, "drop", "--all", "--yes", LOG_FORMAT="json")
    assert (done.code, done.out) == (DONE, "2 messages dropped, 1 message behind goes on.\n")
    first, second = map(orjson.loads, done.err.splitlines())
    assert first["event"] == second["event"] == "set-aside message dropped"
    assert (first["event_id"], first["topic"]) == (EVENT_ID, topics.TIMEOUT_PROCESSED)
    assert (second["number"], second["event_id"]) == (9, None)
    assert "teacher" not in done.err
    assert await waiting(database) == [8]
    assert await listed(database) == []


# --- trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("list",), ("retry", "--all"), ("drop", "--all", "--yes")])
async def test_without_a_database_there_is_one_line(arguments: tuple[str, ...]) -> None:
    done = await outbox(f"postgresql://nobody@{nowhere()}/none", *arguments)
    assert (done.code, done.out) == (TROUBLE, "")
    [line] = done.err.splitlines()
    assert line.startswith("class-management: PostgreSQL: ")


async def test_without_the_table_the_line_says_what_makes_it(empty_database: str) -> None:
    done = await outbox(empty_database, "list")
    assert done.code == TROUBLE
    [line] = done.err.splitlines()
    assert line.endswith("class-management migrate")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retry",), "Give either MESSAGEs or --all."),
        (("drop", "7", "--all"), "Give either MESSAGEs or --all."),
        (("retry", "seven"), "'seven' is neither an event id nor a number of the list"),
        (("retry", "-7"), "-7"),
    ],
)
async def test_a_wrong_call_is_told_in_a_line(
    database: str, arguments: tuple[str, ...], said: str
) -> None:
    done = await outbox(database, *arguments)
    assert done.code == TROUBLE
    assert said in done.err


async def test_with_the_store_in_memory_there_is_nothing_to_see() -> None:
    done = await outbox("postgresql://nobody@127.0.0.1:1/none", "list", USE_MOCK_REPOSITORY="true")
    assert done.code == TROUBLE
    assert "USE_MOCK_REPOSITORY" in done.err


@pytest.mark.parametrize("command", [(), ("list",), ("retry",), ("drop",)])
async def test_every_command_has_help_and_says_its_exit_codes(command: tuple[str, ...]) -> None:
    done = await outbox("postgresql://nobody@127.0.0.1:1/none", *command, "--help")
    assert done.code == DONE
    assert not command or "Exit codes: 0" in done.out
