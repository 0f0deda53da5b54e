"""Which privileges the account needs."""

import re

from store.postgres import sql
from store.postgres.write_check import NEEDED
from tests.support.statements import named

#: What each privilege allows. A conflict may update what an insert names.
USES = {
    "insert": r"insert into (\w+)",
    "update": r"\bupdate (\w+) set|insert into (\w+)(?=(?:(?!insert into).)*?do update)",
    "delete": r"delete from (\w+)",
    "select": r"\b(?:(?<!distinct )from|join) (\w+)\b(?!\s*[(.])",
}

#: Sent only where the account owns the table.
OWNERS = {"PURGE_CHANGES", "PURGE_FEED"}


def used(statement: str) -> set[tuple[str, str]]:
    """Return table and privilege, of tables only: not of what `with` names."""
    named = set(re.findall(r"(\w+) as (?:materialized )?\(", statement))
    return {
        (table, privilege)
        for privilege, pattern in USES.items()
        for match in re.finditer(pattern, statement, re.DOTALL)
        for table in match.groups()
        if table and table not in named and not table.startswith("pg_")
    }


def test_every_privilege_that_a_statement_needs_is_asked_for() -> None:
    statements = [
        text
        for subject in sql.__all__
        if subject != "privacy"
        for name, text in named(subject).items()
        if name not in OWNERS
    ]
    assert sorted(set().union(*map(used, statements))) == sorted(NEEDED)
