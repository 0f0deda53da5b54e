"""Names and emails stay where they belong: in PostgreSQL, in answers, in the events' values."""

from typing import Final
from urllib.parse import quote
from uuid import uuid4

import orjson

from devstack.rig.database import Database
from devstack.rig.http import MARK, Http, Teacher, yes
from devstack.rig.kafka import (
    COMMAND_RESULTS,
    COMMANDS,
    CONFIRMED,
    DEAD_COMMANDS,
    DEAD_SUGGESTIONS,
    READ,
    TIMED_OUT,
    TIMERS,
    Topics,
)
from devstack.rig.service import Host
from devstack.rig.suggestions import suggest
from tests.support.commands import envelope

FIRST: Final = f"Qwertina{MARK}"
LAST: Final = f"Ö-{MARK}-Ström"
NAME: Final = {"first_name": FIRST, "last_name": LAST, "legal_full_name": f"{FIRST} av {LAST}"}


async def test_names_and_emails_stay_out_of_logs_headers_metrics_and_tables(
    host: Host, http: Http, teacher: Teacher, topics: Topics, database: Database
) -> None:
    email = f"{MARK}.{uuid4().hex}@skola.example"
    class_id = await teacher.new_class(f"Klass {MARK}")
    student = await teacher.new_student(class_id, first=FIRST, last=LAST, email=email)
    await refused_requests(teacher, class_id, student, email)
    await topics.send(orjson.dumps({"student_name": FIRST, "student_email": email}), teacher.id)
    await topics.send(f'{{"student_name": "{FIRST}", '.encode(), teacher.id)
    await topics.send(f"{FIRST} <{email}>".encode(), f"{teacher.id} {MARK}")
    broken = suggest(class_id, [(FIRST, 0.9)])
    await topics.suggest(broken, key=teacher.id)
    unfit = suggest(class_id, [(student, 0.9)])
    reasons = unfit.envelope["data"]["match_results"][0]["suggestions"][0]
    reasons["match_reasons"] = [FIRST, {FIRST: email}]
    await topics.suggest(unfit, key=teacher.id)
    rows = [{"person_name": NAME, "email": email}, {"person_name": NAME, "email": f"{MARK} at"}]
    refused = envelope("roster.register", teacher.id, class_id=class_id, students=rows)
    nobody = envelope("student.create", f"{FIRST}\n", person_name=NAME, email=email)
    for command in (refused, nobody):
        await topics.send(orjson.dumps(command), teacher.id, topic=COMMANDS)
    decided = suggest(class_id, [(student, 0.9)], [])
    await topics.suggest(decided)
    await teacher.stored(decided.batch_id, essays=2)
    reply = await teacher.confirm(decided.batch_id, yes(decided.essay_ids[0]))
    assert reply.status == 200
    await database.elapse(decided.batch_id)
    await topics.expect(CONFIRMED, decided.batch_id)
    await topics.expect(DEAD_SUGGESTIONS, teacher.id, 4)
    await topics.expect(DEAD_COMMANDS, teacher.id)
    result = await topics.expect_one(COMMAND_RESULTS, refused["event_id"])
    assert MARK not in (result.value or b"").decode()
    await teacher.done("GET", f"/v1/classes/{class_id}/roster")
    await teacher.send("DELETE", f"/v1/classes/students/{student}")

    await topics.settle()
    assert topics.now(TIMED_OUT, decided.batch_id)
    shown = {
        "logs": host.logs,
        "PostgreSQL's log": host.server("postgres").log_tail(10_000),
        "metrics": (await http.send("GET", "/metrics")).body.decode(),
        "tables": (await http.internal("/internal/v1/tables/pending-associations")).body.decode(),
        "health": (await http.send("GET", "/healthz")).body.decode(),
        "timers": b"".join(m.value or b"" for m in topics.of(TIMERS)).decode(errors="replace"),
        "headers": repr([m.headers for topic in READ for m in topics.of(topic)]),
    }
    for place, text in shown.items():
        assert text, place
        where = text.lower().find(MARK)
        assert where < 0, f"{place}: {text[max(where - 300, 0) : where + 100]}"
    # The scenario has reached the log: a line for each request, with its route.
    assert "/v1/classes/students/{student_id}" in shown["logs"]
    assert "dead letter" in shown["logs"]


async def refused_requests(teacher: Teacher, class_id: str, student: str, email: str) -> None:
    """Make mistakes with personal data in them."""
    students = "/v1/classes/students"
    twin = {"person_name": NAME, "email": email.upper()}
    assert (await teacher.send("POST", students, twin)).status == 409
    path = f"{students}/{await teacher.new_student(class_id)}"
    assert (await teacher.send("PUT", path, {"email": email})).status == 409
    assert (await teacher.send("PUT", path, {"email": f"{MARK} at home"})).status == 400
    nul = {"person_name": {**NAME, "last_name": f"{LAST}\0"}, "email": None}
    assert (await teacher.send("POST", students, nul)).status == 400
    assert (await teacher.send("POST", students, [FIRST, email])).status == 400
    assert (await teacher.send("GET", f"{students}/{MARK}")).status == 400
    assert (await teacher.send("GET", f"/v1/{MARK}?email={quote(email)}")).status == 404
    assert (await teacher.send("GET", f"{students}/{student}?name={MARK}")).status == 200
    wanted = f"{students}?limit=1&q={MARK}&email={quote(email)}"
    assert (await teacher.send("GET", wanted)).status == 200
    assert (await teacher.send("GET", f"{students}?q={MARK}%00")).status == 400
    wrong = {"name": f"{MARK}" * 30, "course_codes": [MARK]}
    assert (await teacher.send("PUT", f"/v1/classes/{class_id}", wrong)).status == 400
