"""What hypothesis draws with a seed."""

import os
import subprocess
import sys
from pathlib import Path

_TEST = """
{imported}
from hypothesis import given, settings, strategies as st

@settings(max_examples=200, database=None)
@given(st.integers(), st.text())
def test_drawn(number, text):
    print("drawn", number, ascii(text))
"""


def drawn(folder: Path, imported: str, *options: str) -> list[str]:
    """Return what a test draws whose process has imported a module."""
    folder.mkdir()
    (folder / "constants.py").write_text("NUMBERS = {123456789, 987654321}\nTEXT = 'Wörter'\n")
    (folder / "test_drawn.py").write_text(_TEST.format(imported=imported))
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "tests.support.seeds", *options]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("drawn")]


def test_what_is_drawn_with_a_seed_does_not_depend_on_what_is_imported(tmp_path: Path) -> None:
    seed = "--hypothesis-seed=1"
    first = drawn(tmp_path / "first", "", seed)
    assert len(first) == 200
    assert drawn(tmp_path / "second", "import constants", seed) == first


def test_without_a_seed_constants_of_the_code_are_drawn_too(tmp_path: Path) -> None:
    assert any("123456789" in line for line in drawn(tmp_path / "without", "import constants"))
