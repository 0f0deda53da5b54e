"""The connections that tests open to PostgreSQL."""

import re
from typing import Final

from devstack.stack import REPOSITORY

OPENED_BY_HAND: Final = re.compile(r"\basyncpg\.(connect|create_pool)\b")


def test_every_connection_of_a_test_is_closed_even_where_the_test_fails() -> None:
    """One that is left open fails another test, in which Python finds it."""
    tests = sorted((REPOSITORY / "tests").rglob("*.py"))
    by_hand = [
        str(path.relative_to(REPOSITORY))
        for path in tests
        if OPENED_BY_HAND.search(path.read_text(encoding="utf-8"))
    ]
    assert by_hand == [], "to be opened with connected() of devstack/rig/database.py"
