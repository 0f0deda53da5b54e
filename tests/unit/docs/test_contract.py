"""docs/contract.md has the operations of the table, and no others."""

import re
from typing import Final

from devstack.stack import REPOSITORY
from web.console.views import home
from web.identity import Access
from web.table import OPERATIONS

PAGE: Final = (REPOSITORY / "docs" / "contract.md").read_text(encoding="utf-8")

#: What the pages of /docs consist of, which is no part of the contract.
_FILE: Final = re.compile(r"/docs/.+\.\w+")
_OPERATION: Final = re.compile(r"`([A-Z]+) (/[^`? ]*)")


def test_the_operations_are_those_of_the_table() -> None:
    told = set(_OPERATION.findall(PAGE))
    # What workers ask each other may change from version to version.
    built = [one for one in OPERATIONS if one.access is not Access.WORKER]
    described = {(one.method, one.path) for one in built if not _FILE.fullmatch(one.path)}
    # Of the console's paths the page has only that which had another answer before.
    assert told == described | {("GET", home.ROOT)}
