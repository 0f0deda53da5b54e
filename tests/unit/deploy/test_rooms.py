"""A room, a folder with Python files at the top of the repository, is known wherever it must be."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from devstack.stack import REPOSITORY
from tests.unit.deploy import files

#: Nothing imports the tests.
WITHOUT_CONTRACT: Final = {"tests"}
PACKAGE: Final = "class_management"
#: What builds leave behind, and the pages, with the examples that they show.
NO_ROOMS: Final = {"build", "dist", "docs"}


def rooms() -> list[str]:
    return sorted(
        folder.name
        for folder in REPOSITORY.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and folder.name not in NO_ROOMS
        and any(folder.rglob("*.py"))
    )


def missing_edits(room: str) -> Iterator[str]:
    """Say what has to be edited before a room is known everywhere."""
    linter = files.project()["tool"]["importlinter"]
    layers: Any = next(one["layers"] for one in linter["contracts"] if one["type"] == "layers")
    if room not in WITHOUT_CONTRACT:
        if room not in linter["root_packages"]:
            yield f"pyproject.toml: add {room} to tool.importlinter.root_packages"
        if room not in {name for layer in layers for name in layer.split(" | ")}:
            yield f"pyproject.toml: add {room} to the layers of tool.importlinter"
    packed = room in files.wheel()["only-include"]
    if not packed and room not in files.DEVELOPMENT:
        yield (
            f"pyproject.toml: add {room} to tool.hatch.build.targets.wheel.only-include; "
            f"or, if it serves development alone, to DEVELOPMENT in {files.__name__}"
        )
    path = f"{PACKAGE}/_rooms/{room}"
    if packed and room != PACKAGE and files.wheel()["sources"].get(room) != path:
        yield f'pyproject.toml: add "{room}" = "{path}" to tool.hatch.build.targets.wheel.sources'


def test_every_room_is_known_wherever_it_must_be() -> None:
    assert [edit for room in rooms() for edit in missing_edits(room)] == []


def test_every_name_in_the_wheel_and_in_the_contracts_is_a_room() -> None:
    named = {
        *files.wheel()["only-include"],
        *files.project()["tool"]["importlinter"]["root_packages"],
    }
    assert named | WITHOUT_CONTRACT == set(rooms())
    assert set(files.wheel()["only-include"]) & files.DEVELOPMENT == set()


def test_a_new_room_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    edits = list(missing_edits("billing"))
    assert [edit.split(": ")[0] for edit in edits] == ["pyproject.toml"] * 3
    assert "root_packages" in edits[0]
    assert "layers" in edits[1]
    assert "only-include" in edits[2]
    monkeypatch.setitem(files.wheel(), "only-include", ["billing"])
    assert "wheel.sources" in list(missing_edits("billing"))[-1]
