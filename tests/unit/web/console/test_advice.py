"""What pages say to do is what the runbook says."""

import re
from typing import Final

from devstack.stack import REPOSITORY
from web.console.advice import ADVICE, Trouble

PAGE: Final = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")


def test_the_runbook_has_each_trouble_in_the_order_of_the_page() -> None:
    section = re.search(r"### What the overview says\n(.*?)\n#", PAGE, re.DOTALL)
    assert section
    rows = [line.replace("`", "").strip("| ").split(" | ") for line in section[1].split("\n|")[3:]]
    shown = [(row[1], row[2].partition(" |")[0]) for row in rows if len(row) == 3]
    assert shown == [(ADVICE[one].meaning, ADVICE[one].remedy) for one in Trouble]
