"""`class-management send`: what it refuses to send. What is sent: tests/stream/test_send.py."""

import codecs
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from class_management.cli.send.encoding import utf8_lines
from class_management.cli.send.lines import BadLine, read_lines
from rules import topics
from rules.commands.orders import CommandName
from rules.ids import new_id
from tests.support.command_line import environ, forked, nowhere
from tests.support.commands import student

TROUBLE: Final = 2
GOOD: Final = {"command": "class.create", "name": "9A", "course_codes": ["SV1"]}


def run(*arguments: str, lines: str = "", raw: bytes = b"") -> "subprocess.CompletedProcess[str]":
    settings = environ({"KAFKA_BOOTSTRAP_SERVERS": nowhere()})
    done = forked("send", *arguments, environ=settings, stdin=raw or lines.encode())
    return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)


def bad_lines(*lines: Any, user: str | None = "teacher-1") -> list[BadLine]:  # noqa: ANN401
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return read_lines(raw, user)[1]


def test_lines_become_commands_in_their_order() -> None:
    event_id = str(new_id())
    lines = [
        json.dumps({**GOOD, "event_id": event_id}).encode(),
        b"  \n",
        json.dumps({**GOOD, "user_id": "lärare 2", "new": [None]}).encode(),
    ]
    outgoing, bad = read_lines(lines, "teacher-1")
    assert bad == []
    first, second = outgoing
    assert (first.line, second.line) == (1, 3)
    assert (str(first.event_id), first.command) == (event_id, "class.create")
    assert (first.message.topic, first.message.key) == (topics.COMMANDS, b"teacher-1")
    assert second.message.key == "lärare 2".encode()
    one, two = (json.loads(o.message.value or b"") for o in outgoing)
    assert one["data"] == {**GOOD, "user_id": "teacher-1"}
    assert two["data"] == {**GOOD, "user_id": "lärare 2", "new": [None]}
    assert one["event_id"] == event_id
    assert one["correlation_id"] == two["correlation_id"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        ([], "is no JSON object"),
        ({}, "command: must be one of class.create"),
        ({"command": ["class.create"]}, "command: must be one of"),
        ({**GOOD, "user_id": ""}, "user_id: must name a user"),
        ({**GOOD, "user_id": 7}, "user_id: must name a user"),
        ({**GOOD, "user_id": None}, "user_id: who acts?"),
        ({**GOOD, "event_id": "1"}, "event_id: must be a UUID"),
        ({**GOOD, "name": ""}, "name: "),
        ({**GOOD, "course_codes": ["SV1", "SV2"]}, "course_codes: "),
        ({"command": "class.delete"}, "class_id: Must be given."),
        (
            {
                "command": "roster.register",
                "class_id": str(new_id()),
                "students": [student(), {**student(), "email": "Hemlig"}],
            },
            "students/1/email: Must be an email address.",
        ),
    ],
)
def test_bad_lines_are_named_without_their_values(line: object, why: str) -> None:
    [bad] = bad_lines(GOOD, line)[:1]
    assert bad.line == 2
    assert why in bad.reason
    assert "Hemlig" not in bad.reason


def test_an_event_id_stands_in_one_line_only() -> None:
    line = {**GOOD, "event_id": str(new_id())}
    assert bad_lines(line, GOOD, line) == [BadLine(3, "has the event_id of line 1")]


def test_without_a_user_somebody_has_to_act() -> None:
    assert [bad.line for bad in bad_lines(GOOD, {**GOOD, "user_id": "x"}, user=None)] == [1]


def test_nothing_is_sent_where_a_line_is_bad() -> None:
    done = run("--user", "t", lines=f"{json.dumps(GOOD)}\n{{\n")
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert done.stderr.splitlines() == [
        "class-management: line 2: is no JSON",
        "class-management: nothing was sent",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("class.rename", "--user", "t"), "command: must be one of"),
        (("class.create", "--user", "t", "-d", "{"), "--data is no JSON"),
        (("class.create", "--user", "t", "-d", "[]"), "--data is no JSON object"),
        (("class.create", "--user", "t", "-f", "-"), "either a COMMAND or a --file"),
        (("--user", "t", "-d", "{}"), "belong to a COMMAND"),
        (("class.delete", "--user", "t"), "class_id: Must be given."),
        (("--timeout", "0"), "--timeout"),
        (("-f", "nowhere.jsonl"), "nowhere.jsonl"),
        (("-f", "/"), "'/': Is a directory"),
        ((), "there is nothing to send"),
    ],
)
def test_trouble_is_told_in_a_line(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_names_every_command() -> None:
    done = run("--help")
    assert [name for name in CommandName if name not in done.stdout] == []


def test_a_mark_of_utf_8_is_read(tmp_path: Path) -> None:
    line = f"{json.dumps({**GOOD, 'name': 'Åk 9'}, ensure_ascii=False)}\n".encode()
    file = tmp_path / "lines.jsonl"
    # Two files put together.
    file.write_bytes(codecs.BOM_UTF8 + line + codecs.BOM_UTF8 + line)
    [one, two] = read_lines(utf8_lines(file.read_bytes()), "t")[0]
    assert (one.line, two.line) == (1, 2)
    for done in (run("--user", "t", "-f", str(file)), run("--user", "t", raw=file.read_bytes())):
        assert "Kafka at" in done.stderr
        assert "is no JSON" not in done.stderr


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("utf-16", "the input is UTF-16"),
        ("utf-16-le", "the input is UTF-16"),
        ("utf-16-be", "the input is UTF-16"),
        ("utf-32", "the input is UTF-32"),
        ("utf-32-le", "the input is UTF-32"),
        ("utf-32-be", "the input is UTF-32"),
        ("cp1252", "line 2: is not UTF-8, it looks like Windows-1252"),
        ("iso-8859-1", "line 2: is not UTF-8, it looks like Windows-1252"),
        ("cp437", "line 2: is not UTF-8"),
    ],
)
def test_another_encoding_is_named_as_what_it_is(tmp_path: Path, written: str, name: str) -> None:
    lines = f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, 'name': 'Åk 9 é'}, ensure_ascii=False)}\n"
    file = tmp_path / "lines.jsonl"
    file.write_bytes(lines.encode(written))
    for done in (run("--user", "t", "-f", str(file)), run("--user", "t", raw=file.read_bytes())):
        assert (done.returncode, done.stdout) == (TROUBLE, "")
        [said] = done.stderr.splitlines()
        assert said.startswith(f"class-management: {name}")
        assert said.endswith("save it as UTF-8; nothing was sent")


@pytest.mark.parametrize("content", [gzip.compress(b"{}", mtime=0), b"\x00\xff", b"\xff\xfe"])
def test_what_is_no_text_is_not_taken_for_windows_1252(content: bytes) -> None:
    done = run("--user", "t", raw=content)
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert len(done.stderr.splitlines()) == 1
    assert "1252" not in done.stderr


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_in_utf_8_is_read_as_it_is(text: str) -> None:
    expected = [line.removeprefix("\ufeff").encode() for line in text.split("\n")]
    assert utf8_lines(text.encode()) == expected


def test_no_kafka_is_trouble() -> None:
    done = run("class.create", "--user", "t", "-d", json.dumps(GOOD))
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert "Kafka at 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
