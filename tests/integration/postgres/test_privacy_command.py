"""`class-management privacy`: what people see of an export and of an erasing."""

import stat
from pathlib import Path
from typing import Final
from uuid import UUID

import click
import orjson
import pytest

from class_management.cli.privacy import actions
from class_management.cli.runner import TroubleError
from devstack.stack import PREFIX
from rules import topics
from rules.ids import new_id
from rules.personal.subjects import Kind, Subject
from tests.support.command_line import Done, call, nowhere
from tests.support.personal import FIRST, MARKS, TEACHER, found, world

DONE, NO, TROUBLE = 0, 1, 2
#: What is told: ids and tables, nobody's name.
UNTOLD: Final = (*MARKS, "Mattsson")


async def privacy(database: str, *arguments: str, **settings: str) -> Done:
    environ = {PREFIX + name: value for name, value in settings.items()}
    return await call("privacy", *arguments, environ={PREFIX + "DATABASE_URL": database, **environ})


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def assert_tells_nobody(done: Done) -> None:
    assert [mark for mark in UNTOLD if mark in done.out + done.err] == []


async def test_an_export_is_a_file_that_only_its_owner_reads(
    migrated_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "student.json"
    async with world(migrated_database) as there:
        done = await privacy(
            migrated_database, "export", "--student", str(there.student), "-o", str(file)
        )
    assert (done.code, done.out) == (DONE, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(tmp_path) == [file.name]
    document = orjson.loads(file.read_bytes())
    assert document["student"] == str(there.student)
    [student] = document["tables"]["students"]
    assert student["first_name"] == FIRST
    letters = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
    assert letters in {one["topic"] for one in document["topics"]}
    assert_tells_nobody(done)


async def test_an_export_goes_to_standard_output_without_a_file(migrated_database: str) -> None:
    async with world(migrated_database):
        done = await privacy(migrated_database, "export", "--user", TEACHER)
    assert done.code == DONE
    assert {"classes", "students", "changes"} <= done.json["tables"].keys()


async def test_a_dry_run_counts_and_changes_nothing(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        chosen = "--student", str(there.student)
        done = await privacy(migrated_database, "erase", *chosen, "--dry-run")
        assert done.code == DONE
        assert "associations" in done.out
        assert topics.STUDENT_CREATED in done.out
        assert "students.first_name" in await found(migrated_database, FIRST)
        assert_tells_nobody(done)


async def test_an_erasing_says_what_it_erased_and_what_stays_until_when(
    migrated_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    async with world(migrated_database) as there:
        chosen = "--student", str(there.student)
        done = await privacy(migrated_database, "erase", *chosen, "--yes", "-o", str(file))
        assert done.code == DONE, done.err
        assert "students.first_name" not in await found(migrated_database, FIRST)
        again = await privacy(migrated_database, "erase", *chosen, "--yes")
    report = orjson.loads(file.read_bytes())
    assert report["tables"]["students"] == 1
    assert report["finished_at"]
    assert topics.STUDENT_CREATED in done.out
    assert "personal data erased" in done.err
    assert_tells_nobody(done)
    assert (again.code, again.out) == (NO, "")
    assert again.err == "class-management: nothing is stored of this student\n"


async def test_what_is_not_finished_is_said(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        arguments = "erase", "--user", TEACHER, "--yes", "--timeout", "0"
        done = await privacy(migrated_database, *arguments)
        assert done.code == NO
        assert "not finished: the outbox is not published; run it again" in done.err
        await there.stores.published()
        done = await privacy(migrated_database, *arguments)
        assert done.code == DONE, done.err
        assert TEACHER not in done.out + done.err
        assert await found(migrated_database, TEACHER) == set()


async def test_nobody_is_erased_without_a_question(migrated_database: str) -> None:
    async with world(migrated_database) as there:
        done = await privacy(migrated_database, "erase", "--student", str(there.student))
        assert done.code == TROUBLE
        assert "give --yes" in done.err
        assert "students.first_name" in await found(migrated_database, FIRST)


@pytest.mark.parametrize(("typed", "right"), [(" u-1 ", True), ("u-2", False), ("yes", False)])
def test_the_id_is_typed(monkeypatch: pytest.MonkeyPatch, typed: str, *, right: bool) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", lambda *_args, **_options: typed)
    subject = Subject(Kind.USER, "u-1")
    if right:
        actions._confirm(subject)
    else:
        with pytest.raises(TroubleError):
            actions._confirm(subject)


@pytest.mark.parametrize("command", ["export", "erase --yes", "erase --dry-run"])
async def test_whom_nobody_knows_leaves_no_file(
    migrated_database: str, tmp_path: Path, command: str
) -> None:
    async with world(migrated_database):
        for chosen in (("--student", str(new_id())), ("--user", "nobody")):
            file = tmp_path / "x.json"
            done = await privacy(migrated_database, *command.split(), *chosen, "-o", str(file))
            assert (done.code, done.out) == (NO, "")
            assert "nothing is stored of this" in done.err
    assert names(tmp_path) == []


async def test_a_file_that_cannot_be_written_is_trouble(migrated_database: str) -> None:
    async with world(migrated_database):
        done = await privacy(migrated_database, "export", "--user", TEACHER, "-o", "/nowhere/x")
    assert done.code == TROUBLE
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "wrong",
    [(), ("--user", "a", "--student", str(UUID(int=1))), ("--user", " "), ("--student", "x")],
)
@pytest.mark.parametrize("command", ["export", "erase"])
async def test_it_takes_one_of_either(command: str, wrong: tuple[str, ...]) -> None:
    done = await privacy(f"postgresql://{nowhere()}/x", command, *wrong)
    assert done.code == TROUBLE
    assert "Error" in done.err


async def test_without_a_database_it_is_trouble() -> None:
    done = await privacy(f"postgresql://{nowhere()}/x", "export", "--user", "a")
    assert (done.code, len(done.err.splitlines())) == (TROUBLE, 1)
    done = await privacy("", "export", "--user", "a", USE_MOCK_REPOSITORY="true")
    assert done.code == TROUBLE
