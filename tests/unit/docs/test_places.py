"""What the documents point at exists: files, folders, links, headings, make targets."""

import re
from pathlib import Path
from typing import Final

import pytest

from devstack.stack import REPOSITORY
from tests.unit.docs.documents import documents, named, prose

PAGES: Final = [pytest.param(path, id=named(path)) for path in documents()]
SUFFIXES: Final = "py|md|toml|yml|lock|jsonl|mako|pem"

_CODE: Final = re.compile(r"`([^`\n]+)`")
#: `agents/jobs/relay.py`, `docs/`, `tests/{unit,stream}`.
_FILE: Final = re.compile(rf"[\w./-]+\.(?:{SUFFIXES})")
_FOLDER: Final = re.compile(r"(?:[\w.-]+/)+")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MAKE: Final = re.compile(r"(?:^|`|\s)make ([a-z]+)(?=[`\s.,;:)]|$)", re.MULTILINE)
_TARGET: Final = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)

#: Made when something runs or is installed.
MADE: Final = (".run/", ".venv/", "class_management/_rooms/")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_is_named_exists(page: Path) -> None:
    roots = [REPOSITORY, page.parent, *(REPOSITORY / room for room in rooms())]
    paths = [text for text in _CODE.findall(prose(page.read_text("utf-8"))) if _is_path(text)]
    missing = [text for text in paths if not any((root / text).exists() for root in roots)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_resolves(page: Path) -> None:
    links = _LINK.findall(prose(page.read_text("utf-8")))
    broken = [link for link in links if "://" not in link and not _resolves(page, link)]
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_exists(page: Path) -> None:
    known = set(_TARGET.findall((REPOSITORY / "Makefile").read_text("utf-8")))
    named_targets = {
        target
        for text in [*_CODE.findall(page.read_text("utf-8")), *_indented(page)]
        for target in _MAKE.findall(text)
    }
    assert named_targets - known == set()


def test_the_readme_is_short_and_shows_every_room() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 150
    assert [room for room in rooms() if f"`{room}/`" not in text] == []


def test_the_readme_says_what_each_dependency_is_for() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    listed = project.split("dependencies = [\n")[1].split("\n]\n")[0]
    names = re.findall(r'^ +"([\w-]+)', listed, re.MULTILINE)
    assert names
    made_of = text.split("## What it is made of\n")[1].split("\n## ")[0]
    assert [name for name in names if name not in made_of] == []


def test_every_decision_is_in_the_index() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    pages = [path.name for path in folder.glob("[0-9]*.md")]
    assert pages
    assert [name for name in pages if f"({name})" not in index] == []


def rooms() -> list[str]:
    """Return the folders at the top that have Python in them."""
    return sorted(path.name for path in REPOSITORY.glob("[a-z]*/") if any(path.glob("*.py")))


def _is_path(text: str) -> bool:
    if text.startswith((*MADE, "/", "http")):
        return False
    return bool(_FOLDER.fullmatch(text)) or ("/" in text and bool(_FILE.fullmatch(text)))


def _resolves(page: Path, link: str) -> bool:
    place, _, fragment = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    if not target.exists():
        return False
    return not fragment or fragment in _anchors(target)


def _anchors(page: Path) -> set[str]:
    """Return the fragments that GitHub gives to the headings of a page."""
    headings = _HEADING.findall(prose(page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def _indented(page: Path) -> list[str]:
    return [line for line in page.read_text("utf-8").splitlines() if line.startswith("    make ")]
