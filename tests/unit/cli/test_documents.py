"""`class-management openapi`: the document for the builds of others."""

import json
from pathlib import Path

from tests.support.command_line import run
from tests.support.documents import document


def test_it_prints_the_document_whatever_the_settings(tmp_path: Path) -> None:
    done = run("openapi", PORT="none", DATABASE_URL="nonsense")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == document()
    target = tmp_path / "openapi.json"
    written = run("openapi", "--output", str(target))
    assert (written.returncode, written.stdout) == (0, "")
    assert target.read_text(encoding="utf-8") == done.stdout


def test_a_file_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    done = run("openapi", "--output", str(tmp_path / "missing" / "openapi.json"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("class-management: ")
    assert line.endswith("missing/openapi.json: No such file or directory")
