"""Every example of the pages is run by a test; tests/stream/test_examples.py runs them."""

import re
import subprocess
from collections.abc import Sequence
from typing import Final

import click
import pytest

from class_management.cli.main import main
from devstack.stack import REPOSITORY
from tests.support.examples import (
    LEFT_OUT,
    RUNS_ON,
    STARTS,
    Example,
    blocks,
    examples,
    examples_of,
    is_understood,
    pages,
)
from tests.unit.docs.documents import documents, named

INLINE: Final = re.compile(r"`(class-management [^`]+)`")


def test_it_is_known_what_every_block_is() -> None:
    odd = [
        f"{named(path)}: {block.splitlines()[0]}"
        for path in pages()
        for block in blocks(path.read_text(encoding="utf-8"))
        if not is_understood(block)
    ]
    assert odd == [], "not like a command, and not in NOT_SHELL of tests/support/examples.py"


def test_examples_are_found() -> None:
    found = [example.name for example in examples_of(REPOSITORY / "README.md")]
    assert "README.md: make demo" in found
    assert sum("stack.env" in name for name in found) > 1


@pytest.mark.parametrize("way", [*LEFT_OUT, *STARTS, *RUNS_ON])
def test_no_exception_outlives_its_example(way: str) -> None:
    assert any(example.begins(way) for example in examples())


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(e, id=e.name)
        for e in examples()
        if e.begins(*LEFT_OUT) and "make " in e.text and " make " not in e.text
    ],
)
def test_what_is_left_out_is_known_to_make(example: Example) -> None:
    command = ["/bin/sh", "-c", re.sub(r"\bmake\b", "make --dry-run", example.text, count=1)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_that_stand_in_a_sentence_exist() -> None:
    texts = {text for path in documents() for text in INLINE.findall(path.read_text("utf-8"))}
    assert len(texts) > 5
    unknown = {text: odd for text in texts if (odd := _unknown(text.split()[1:]))}
    assert unknown == {}


def _unknown(words: Sequence[str]) -> list[str]:
    """Return the names and options that the command line does not have."""
    command: click.Command = main
    known = {"--help"}
    found = []
    for word in words:
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
        elif command is main or word.startswith("-"):
            found.append(word)
        known |= {name for one in command.params for name in one.opts}
    return [word for word in found if word not in known]
