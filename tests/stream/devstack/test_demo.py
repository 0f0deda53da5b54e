"""The demo against a real service, and without one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from devstack.demo import arrivals, day, roster, stage, suggestions
from devstack.demo.__main__ import main
from devstack.demo.addresses import read_addresses
from devstack.demo.arrivals import Arrivals
from devstack.demo.errors import DemoError
from devstack.demo.events import HEADERS, Event, check
from devstack.demo.roster import Student
from devstack.ports import free_port
from devstack.process import bound
from devstack.rig.kafka import CLASS_CREATED
from devstack.stack import PREFIX, REPOSITORY, clean_environ
from rules.messages.envelopes import read
from rules.messages.suggestions import MatchesSuggestedEnvelope

START_SECONDS = 60.0
STOP_SECONDS = 20.0
#: Long enough for the teacher, who needs about a second, and short enough to be waited for.
TIMEOUT_HOURS = 6 / 3600

Demo = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def stack_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the service, with a clock that does not wait long."""
    run_dir = tmp_path_factory.mktemp("run")
    environ = clean_environ() | {
        PREFIX + "TIMEOUT_HOURS": str(TIMEOUT_HOURS),
        PREFIX + "HOST": "127.0.0.1",
    }
    command = [sys.executable, "-m", "devstack", "run", "--run-dir", str(run_dir)]
    command += ["--port", str(free_port()), "--ready-seconds", str(START_SECONDS)]
    output = run_dir / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            bound(command),
            cwd=REPOSITORY,
            env=environ,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    path = run_dir / "stack.env"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not path.exists():
            assert process.poll() is None, output.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, output.read_text(encoding="utf-8")
            time.sleep(0.05)
        yield path
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def play(stack_env: Path, **environ: str) -> Demo:
    return subprocess.run(
        [sys.executable, "-m", "devstack.demo", "--stack-env", str(stack_env)],
        cwd=REPOSITORY,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )


def test_the_whole_day_as_each_side_sees_it(stack_env: Path) -> None:
    done = play(stack_env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout, "no colours where there is no terminal"
    lines = done.stdout.splitlines()
    for who in (stage.TEACHER, stage.MATCHER, stage.BROWSER, stage.OTHERS):
        assert any(line[10:].startswith(who) for line in lines), who
    assert "as if the answer had been lost: the same answer, 1 class" in done.stdout
    for pushed in ("class_created", "student_added_to_class, 30 times"):
        assert pushed in done.stdout
    assert "has one batch waiting, of 'Svenska 1, SA26b': 30 essays, 4 unmatched" in done.stdout
    assert "9 pending" in done.stdout
    assert "30 total_associations, 29 confirmed, 1 rejected, 21 human, 9 timeout" in done.stdout
    assert "6 kept, 3 given to the UNKNOWN student" in done.stdout
    assert "student-names: 29 decided essays" in done.stdout
    assert "Đorđe Petrović" in done.stdout
    assert "محمد الأحمد" in done.stdout
    assert "gives essay 18 to Αλέξανδρος Παπαδόπουλος after all" in done.stdout
    assert "huleedu.class.student.updated.v1, 3 times" in done.stdout
    assert "looks for 'Öberg': Åsa Öberg in 2 classes, Åsa Öberg in 0 classes" in done.stdout
    assert "makes one of the two: Åsa Öberg in 2 classes" in done.stdout
    assert "2 total_associations, 0 confirmed, 2 rejected, 2 human" in done.stdout


def test_a_clock_that_is_far_off_is_not_waited_for(
    stack_env: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(day, "CLOCK_SECONDS", 0.0)
    assert main(["--stack-env", str(stack_env)]) == 0
    out = capsys.readouterr().out
    assert "TIMEOUT_HOURS=0.005 make run" in out
    assert "student-names: 20 decided essays" in out
    assert "timeout_confirmed" not in out


def test_a_terminal_that_knows_only_ascii(stack_env: Path) -> None:
    done = play(stack_env, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Carl-Johan von Essen" in done.stdout


def test_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack-env", str(tmp_path / "stack.env")]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("demo: no running service")
    assert said.err.count("\n") == 1
    assert "make run" in said.err
    assert said.out == ""


def test_what_ran_has_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"HOST": "0.0.0.0", "PORT": str(free_port()), "INTERNAL_API_KEY": "key"}  # noqa: S104
    values |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
    path = tmp_path / "stack.env"
    path.write_text("".join(f"{PREFIX}{n}={v}\n" for n, v in values.items()), encoding="utf-8")
    assert main(["--stack-env", str(path)]) == 1
    said = capsys.readouterr()
    assert f"no service at http://127.0.0.1:{values['PORT']}" in said.err
    assert "make run" in said.err
    assert said.err.count("\n") == 1


def test_a_file_that_lacks_something(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    path.write_text(f"{PREFIX}HOST=127.0.0.1\n", encoding="utf-8")
    with pytest.raises(DemoError, match="lacks CLASS_MANAGEMENT_SERVICE_PORT"):
        read_addresses(path)


def test_the_file_is_read_as_a_shell_reads_it(tmp_path: Path) -> None:
    values = {"HOST": "127.0.0.1", "PORT": "1", "INTERNAL_API_KEY": "'a key'"}
    values |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "REDIS_URL": "'redis://h:1/0?a=b&c=d'"}
    path = tmp_path / "stack.env"
    path.write_text("".join(f"{PREFIX}{n}={v}\n" for n, v in values.items()), encoding="utf-8")
    found = read_addresses(path)
    assert (found.internal_api_key, found.redis) == ("a key", "redis://h:1/0?a=b&c=d")


async def test_what_does_not_arrive_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "ARRIVAL_SECONDS", 0.05)
    heard = Arrivals(stage.BROWSER)
    await heard.add("one")
    with pytest.raises(DemoError, match=r"browser \(Redis\): greeting: 1 of 2 arrived within"):
        await heard.wait("greeting", lambda item: item == "one", 2)


def test_the_service_reads_what_the_demo_writes() -> None:
    batch_id, class_id = str(uuid4()), str(uuid4())
    student = Student(str(uuid4()), "Åsa Öberg", None)
    result = suggestions.match_result(str(uuid4()), 0)
    result["suggestions"] = [suggestions.suggestion(student, 0.7, "name_fuzzy")]
    failed = suggestions.match_result(str(uuid4()), roster.FAILED[0])
    event = suggestions.suggested_event(batch_id, class_id, [result, failed])
    envelope = read(MatchesSuggestedEnvelope, orjson.dumps(event))
    assert str(envelope.data.batch_id) == batch_id
    summary = event["data"]["processing_summary"]
    assert (summary["matched"], summary["unmatched"], summary["failed"]) == (1, 0, 1)


def test_a_header_that_is_missing_is_named() -> None:
    headers = dict.fromkeys(HEADERS - {"content-type"}, "x")
    with pytest.raises(DemoError, match="no header content-type"):
        check(Event(CLASS_CREATED, "key", headers, {}))


def test_every_place_in_the_class_has_its_kind_of_essay() -> None:
    kinds = (roster.CHOICES_OF_TWO, roster.AT_THRESHOLD, roster.BELOW_THRESHOLD)
    places = [place for kind in (*kinds, roster.UNMATCHED, roster.FAILED) for place in kind]
    assert places == list(range(roster.CHOICES_OF_TWO[0], len(roster.ROSTER)))
    assert len(roster.ROSTER) == 30
    mailboxes = [mailbox for _, _, mailbox in roster.ROSTER if mailbox]
    assert len(set(mailboxes)) == len(mailboxes)
