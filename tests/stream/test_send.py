"""`class-management send` against a running service."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from devstack.rig.http import Teacher
from devstack.rig.kafka import CLASS_UPDATED, Topics
from devstack.rig.service import Host, ServiceProcess
from tests.support.command_line import Done, call
from tests.support.commands import student

REJECTED, TROUBLE = 1, 2
CHANGES: Final = 300

Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("service")


async def send(
    host: Host,
    *arguments: str,
    lines: Sequence[Json] = (),
    settings: Mapping[str, str] | None = None,
) -> Done:
    written = "".join(f"{json.dumps(line, default=str)}\n" for line in lines)
    environ = {**host.command_environ(), **(settings or {})}
    return await call("send", *arguments, environ=environ, stdin=written.encode())


async def test_one_command_by_options(host: Host, teacher: Teacher) -> None:
    body = json.dumps({"name": "9A", "course_codes": ["SV1"]})
    event_id = str(uuid4())
    arguments = ("class.create", "--user", teacher.id, "-d", body, "--event-id", event_id)
    done = await send(host, *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    (result,) = done.lines
    assert (result["line"], result["status"], result["command_id"]) == (1, "applied", event_id)
    detail = await teacher.done("GET", f"/v1/classes/{result['entity_ids'][0]}")
    assert detail["name"] == "9A"
    again = await send(host, *arguments)
    assert again.code == 0
    assert again.out.splitlines()[1].split()[:3] == ["1", "class.create", "duplicate"]


async def test_a_file_of_lines_takes_effect_in_its_order(
    host: Host, teacher: Teacher, topics: Topics, tmp_path: Path
) -> None:
    class_id = uuid4()
    lines: list[Json] = [
        {"command": "class.create", "class_id": class_id, "name": "9", "course_codes": ["SV1"]},
        *(
            {"command": "class.update", "class_id": class_id, "name": f"Klass {n}"}
            for n in range(CHANGES)
        ),
        {"command": "roster.register", "class_id": class_id, "students": [student()] * 30},
    ]
    file = tmp_path / "commands.jsonl"
    file.write_text("\n".join(json.dumps(line, default=str) for line in lines))
    done = await send(host, "--user", teacher.id, "--json", "-f", str(file))
    assert done.code == 0, done.err
    assert {line["status"] for line in done.lines} == {"applied"}
    assert sorted(line["line"] for line in done.lines) == list(range(1, len(lines) + 1))
    assert "302 applied" in done.err
    await topics.settle()
    updates = topics.now(CLASS_UPDATED, str(class_id))
    names = list(dict.fromkeys(one.data["class_designation"] for one in updates))
    assert names == [f"Klass {n}" for n in range(CHANGES)]
    detail = await teacher.done("GET", f"/v1/classes/{class_id}")
    assert detail["student_count"] == 30


async def test_rejections_are_shown_with_their_places(host: Host, teacher: Teacher) -> None:
    class_id = await teacher.new_class()
    email = f"{uuid4().hex}@skola.example"
    await teacher.new_student(class_id, email=email)
    lines: list[Json] = [
        {"command": "class.update", "class_id": class_id, "name": "9B"},
        {"command": "roster.register", "class_id": class_id, "students": [student(email)]},
        {"command": "class.delete", "class_id": uuid4()},
    ]
    done = await send(host, "--user", teacher.id, lines=lines)
    assert done.code == REJECTED
    assert "STUDENT_EMAIL_CONFLICT" in done.out
    assert "students/0/email: Another of your students" in done.out
    assert "CLASS_NOT_FOUND" in done.out
    assert "1 applied, 2 rejected" in done.err


async def test_without_waiting_kafka_has_them(host: Host, teacher: Teacher) -> None:
    class_id = await teacher.new_class()
    line = {"command": "class.update", "class_id": class_id, "name": "9Z"}
    done = await send(host, "--user", teacher.id, "--no-wait", "--json", lines=[line])
    assert (done.code, [one["status"] for one in done.lines]) == (0, ["sent"])
    (seen,) = (await send(host, "--user", teacher.id, "--json", lines=[line])).lines
    assert seen["status"] == "applied"
    assert (await teacher.done("GET", f"/v1/classes/{class_id}"))["name"] == "9Z"


@pytest.mark.timeout(180)
async def test_a_command_without_a_result_is_trouble(
    host: Host, service: ServiceProcess, teacher: Teacher
) -> None:
    await asyncio.to_thread(service.end)
    line = {"command": "class.create", "name": "9A", "course_codes": ["SV1"]}
    event_id = str(uuid4())
    arguments = ("--user", teacher.id, "--timeout", "1", "--json")
    done = await send(host, *arguments, lines=[{**line, "event_id": event_id}])
    assert done.code == TROUBLE
    assert [one["status"] for one in done.lines] == ["unknown"]
    assert done.lines[0]["command_id"] == event_id
    assert "1 without a result" in done.err
    await asyncio.to_thread(service.start)
