"""Tests side by side: in how many processes, and in which order their files are handed out."""

import gc
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

#: Processes per core: those of `tests/stream` and what they start wait most of the time.
WAITING: Final = 3
COMPUTING: Final = 1
#: How a test is marked that has a long profile.
LONG: Final = "pytest.mark.long"
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `-n auto` means; a single file needs none beside pytest's own."""
    chosen = {Path(argument.partition("::")[0]) for argument in config.args}
    wanted = len(os.sched_getaffinity(0)) * (WAITING if any(map(_waits, chosen)) else COMPUTING)
    if all(path.suffix == ".py" for path in chosen):
        wanted = min(wanted, len(chosen))
    return wanted if wanted > 1 else 0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among modules and tests, which stay: not now, and not later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that have no long test where only these are to run.

    Each process would import them all, and make thousands of tests of which none is run.
    """
    if config.getoption("markexpr") != "long" or collection_path.suffix != ".py":
        return None
    return True if LONG not in collection_path.read_text(encoding="utf-8") else None


def pytest_make_parametrize_id(val: object) -> str | None:
    """Leave out of tests' names what is random, since all processes must find the same tests."""
    text = val.decode(errors="replace") if isinstance(val, bytes) else val
    return UUID.sub("id", text) if isinstance(text, str) and UUID.search(text) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that none of them is left over for the end."""
    if not hasattr(config, "workerinput"):
        return
    longest: dict[Path, float] = {}
    for item in items:
        if mark := item.get_closest_marker("timeout"):
            longest[item.path] = max(longest.get(item.path, 0), mark.args[0])
    items.sort(key=lambda item: (not _waits(item.path), -longest.get(item.path, 0)))


def _waits(path: Path) -> bool:
    """Return whether tests of this file or folder may be such that wait."""
    return not {"unit", "integration"} & set(path.parts)
