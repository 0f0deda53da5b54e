"""Schemathesis reads the OpenAPI document and looks for answers that it does not describe.

It plays against a whole service: all of its checks, each operation by itself, and sequences along
the links. What it may find is nothing; findings that are none are in
tests/support/schemathesis_hooks.py, each with its reason.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from devstack.rig.http import Teacher
from devstack.rig.kafka import Topics
from devstack.rig.service import INTERNAL_KEY, Host
from devstack.rig.suggestions import suggest
from devstack.stack import REPOSITORY
from tests.support.profiles import by_profile

HOOKS: Final = "tests.support.schemathesis_hooks"
#: For each operation and phase.
EXAMPLES: Final = by_profile(short=4, long=30)
SECONDS: Final = by_profile(short=900, long=3600)

#: It waits for the end of each answer.
ENDLESS: Final = ("/v1/notifications/stream",)

pytestmark = [pytest.mark.timeout(SECONDS + 60), pytest.mark.long]


@pytest.fixture
async def known(teacher: Teacher, topics: Topics) -> Teacher:
    """Give a teacher something to find: a class, and a batch that waits for decisions."""
    roster = await teacher.new_roster(2)
    suggested = suggest(roster.class_id, *([(one, 0.9)] for one in roster.student_ids))
    await topics.suggest(suggested)
    await teacher.stored(suggested.batch_id, 2)
    return teacher


async def test_nothing_is_answered_that_the_document_does_not_say(
    host: Host, known: Teacher, tmp_path: Path
) -> None:
    done = await asyncio.to_thread(play, host.port, known.id, tmp_path)
    print(done.stdout)  # noqa: T201  # what was played, for who asks pytest to show it
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    # That something was played, and how much.
    tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert tested is not None
    selected, known_of, played = map(int, tested.groups())
    assert (selected, played) == (known_of - len(ENDLESS),) * 2


def play(port: int, user_id: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run schemathesis as a program: its summary is what a person would read."""
    command = [sys.executable, "-m", "schemathesis.cli", "run"]
    return subprocess.run(
        [*command, f"http://127.0.0.1:{port}/openapi.json", *options(user_id)],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def options(user_id: str) -> list[str]:
    headers = {
        "X-User-ID": quote(user_id),
        "X-Internal-API-Key": INTERNAL_KEY,
        "X-Service-ID": "schemathesis",
    }
    return [
        *(part for name, value in headers.items() for part in ("--header", f"{name}: {value}")),
        "--checks=all",
        *(f"--exclude-path={path}" for path in ENDLESS),
        "--phases=examples,coverage,fuzzing,stateful",
        f"--max-examples={EXAMPLES}",
        "--continue-on-failure",
        "--generation-database=none",
        "--no-color",
        "--suppress-health-check=all",
        "--warnings=off",
    ]
