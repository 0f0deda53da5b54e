"""docs/api.md leaves nothing out; tests/stream/test_api_guide.py runs what is in it."""

import re
from collections import defaultdict
from typing import Final

from tests.support.guide import ANSWERS, COMMANDS, PAGE, blocks, steps
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
