"""docs/api.md leaves nothing out; tests/stream/test_api_guide.py runs what is in it."""

import re
from collections import defaultdict
from typing import Final

import pytest

from tests.support.guide import (
    ANSWERS,
    COMMANDS,
    PAGE,
    Block,
    DifferentError,
    Meanings,
    blocks,
    steps,
)
from web.problems import PROBLEMS

TEXT: Final = PAGE.read_text(encoding="utf-8")
#: Not sent, and said to be so below the table.
RESERVED: Final = {"COURSE_NOT_FOUND"}

_ROW: Final = re.compile(r"^\| ([A-Z_, ]+) \| ([\d, ]+) \| .+ \|$", re.MULTILINE)


def test_it_is_known_what_every_block_is() -> None:
    odd = [block for block in blocks() if block.kind not in (*COMMANDS, *ANSWERS)]
    assert odd == []


def test_examples_have_answers_and_are_of_both_kinds() -> None:
    kinds = [step.command.kind for step in steps() if step.answer]
    assert min(map(kinds.count, COMMANDS)) > 10


def test_every_error_code_is_explained_with_its_status() -> None:
    told: dict[str, set[int]] = defaultdict(set)
    for codes, statuses in _ROW.findall(TEXT):
        for code in codes.split(", "):
            told[code] |= {int(status) for status in statuses.split(", ")}
    assert told.keys() == PROBLEMS.keys() - RESERVED
    assert [code for code in told if PROBLEMS[code].status not in told[code]] == []
    assert [code for code in RESERVED if code not in TEXT] == []


A: Final = "019ad3c1-0000-7000-8000-00000000000a"
B: Final = "019ad3c1-0000-7000-8000-00000000000b"


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ('{"a": 1, "b": 2}', '{"a": 1}'),
        ('{"a": [1]}', '{"a": [1, 2]}'),
        ('{"at": "2026-09-01T08:00:00Z"}', '{"at": "yesterday"}'),
        (f'{{"a": "{A}", "b": "{A}"}}', f'{{"a": "{A}", "b": "{B}"}}'),
        (f'{{"a": "{A}"}}', '{"a": null}'),
    ],
)
def test_an_answer_that_is_another_one_is_noticed(written: str, real: str) -> None:
    with pytest.raises(DifferentError):
        Meanings().compare(Block(1, "json", written), real)


def test_an_id_of_the_page_stands_for_the_same_one_from_then_on() -> None:
    meanings = Meanings()
    answer = Block(1, "http", f'HTTP/1.1 201 Created\nETag: "x"\n\n{{"id": "{A}"}}')
    real = f'HTTP/1.1 201 Created\r\nDate: now\r\nETag: "y"\r\n\r\n{{"id": "{B}"}}'
    meanings.compare(answer, real)
    assert meanings.spoken(f'If-Match: "x" /{A}') == f'If-Match: "y" /{B}'
    with pytest.raises(DifferentError):
        meanings.compare(answer, real.replace("y", "z"))
    with pytest.raises(DifferentError):
        meanings.compare(answer, real.replace("ETag", "Tag"))
